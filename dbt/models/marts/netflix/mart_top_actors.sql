with

credits as (

    select * from {{ ref('bridge_title_credits') }}
    where role = 'ACTOR'

),

titles as (

    select * from {{ ref('dim_netflix_titles') }}

),

-- A title missing from titles.csv has no type, year or score and is left out.
appearances as (

    select
        credits.person_id,
        credits.person_name,
        titles.*,
        row_number() over (
            partition by credits.person_id
            order by titles.imdb_votes desc nulls last, titles.title_id asc nulls last
        ) as votes_rank
    from credits
    inner join titles
        on credits.title_id = titles.title_id

),

by_actor as (

    select
        person_id,
        max(person_name) as person_name,
        count(*) as n_titles,
        count(case when production_type = 'MOVIE' then 1 end) as n_movies,
        count(case when production_type = 'SHOW' then 1 end) as n_shows,
        min(release_year) as first_release_year,
        max(release_year) as last_release_year,
        count(imdb_score) as n_scored_titles,
        cast(sum(cast(imdb_score * 10 as integer)) as bigint) as sum_tenths,
        cast(coalesce(sum(imdb_votes), 0) as bigint) as n_imdb_votes,
        cast(sum(case when imdb_score is not null then imdb_votes end) as bigint) as n_weights,
        cast(sum(cast(imdb_score * 10 as integer) * imdb_votes) as bigint) as sum_tenths_by_votes,
        max(case when votes_rank = 1 then title end) as most_voted_title
    from appearances
    group by person_id
    having count(*) >= {{ var('top_actors_min_titles') }}

),

ranked as (

    select
        *,
        cast(row_number() over (
            order by n_titles desc nulls last, n_imdb_votes desc nulls last, person_id asc nulls last
        ) as bigint) as actor_rank
    from by_actor

),

final as (

    select
        actor_rank,
        person_id,
        person_name,
        n_titles,
        n_movies,
        n_shows,
        first_release_year,
        last_release_year,
        n_scored_titles,
        cast(sum_tenths as double) / 10 / nullif(n_scored_titles, 0) as avg_imdb_score,
        n_imdb_votes,
        cast(sum_tenths_by_votes as double) / 10 / nullif(n_weights, 0) as weighted_imdb_score,
        most_voted_title,
        actor_rank <= {{ var('charted_rows') }} as is_charted
    from ranked

)

select * from final
