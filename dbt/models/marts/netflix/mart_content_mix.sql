{#- The least common multiple of 1 to 20. Each genre's part of a title is a whole number of these units, so parts add up
    exactly. A sum of thirds and sevenths in doubles would not. -#}
{%- set units = 232792560 %}

with

titles as (

    select * from {{ ref('dim_netflix_titles') }}

),

title_genres as (

    select * from {{ ref('bridge_title_genres') }}

),

-- Every title has one row under 'all', and one under each of its genres or under '(none)'. A genre that is itself named
-- 'all' or '(none)' is quoted.
labels as (

    select
        title_id,
        'all' as genre
    from titles
    union all
    select
        title_id,
        '(none)' as genre
    from titles
    where n_genres = 0
    union all
    select
        title_id,
        case when genre in ('all', '(none)') then '"' || genre || '"' else genre end as genre
    from title_genres

),

counted as (

    select
        labels.genre,
        titles.production_type,
        count(*) as n_titles,
        cast(sum(
            case
                when labels.genre = 'all' or titles.n_genres = 0 then {{ units }}
                else cast(floor(cast({{ units }} as double) / titles.n_genres) as bigint)
            end
        ) as bigint) as units,
        count(titles.imdb_score) as n_scored_titles,
        cast(sum(cast(titles.imdb_score * 10 as integer)) as bigint) as sum_tenths,
        cast(coalesce(sum(titles.imdb_votes), 0) as bigint) as n_imdb_votes,
        cast(sum(case when titles.imdb_score is not null then titles.imdb_votes end) as bigint) as n_weights,
        cast(
            sum(cast(titles.imdb_score * 10 as integer) * titles.imdb_votes) as bigint
        ) as sum_tenths_by_votes,
        cast(sum(titles.runtime_min) as bigint) as sum_runtime_min,
        count(titles.runtime_min) as n_with_runtime
    from labels
    inner join titles
        on labels.title_id = titles.title_id
    group by labels.genre, titles.production_type

),

with_totals as (

    select
        *,
        max(case when genre = 'all' then n_titles end) over (partition by production_type) as type_n_titles,
        sum(n_titles) over (partition by genre) as genre_n_titles
    from counted

),

final as (

    select
        genre,
        production_type,
        n_titles,
        cast(units as double) / {{ units }} as n_titles_split,
        cast(n_titles as double) / type_n_titles as share_of_type,
        cast(units as double) / {{ units }} / type_n_titles as share_of_type_split,
        cast(n_titles as double) / genre_n_titles as share_of_genre,
        n_scored_titles,
        cast(sum_tenths as double) / 10 / nullif(n_scored_titles, 0) as avg_imdb_score,
        n_imdb_votes,
        cast(sum_tenths_by_votes as double) / 10 / nullif(n_weights, 0) as weighted_imdb_score,
        cast(sum_runtime_min as double) / nullif(n_with_runtime, 0) as avg_runtime_min
    from with_totals

)

select * from final
