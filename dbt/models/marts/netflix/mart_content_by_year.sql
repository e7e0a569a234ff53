with

titles as (

    select * from {{ ref('dim_netflix_titles') }}

),

title_countries as (

    select * from {{ ref('bridge_title_countries') }}

),

by_year as (

    select
        release_year,
        production_type,
        count(*) as n_titles,
        count(case when n_countries > 1 then 1 end) as n_co_productions,
        count(imdb_score) as n_scored_titles,
        cast(sum(cast(imdb_score * 10 as integer)) as bigint) as sum_tenths,
        cast(sum(case when imdb_score is not null then imdb_votes end) as bigint) as n_weights,
        cast(sum(cast(imdb_score * 10 as integer) * imdb_votes) as bigint) as sum_tenths_by_votes,
        cast(sum(runtime_min) as bigint) as sum_runtime_min,
        count(runtime_min) as n_with_runtime
    from titles
    group by release_year, production_type

),

countries_by_year as (

    select
        titles.release_year,
        titles.production_type,
        count(distinct title_countries.country) as n_countries
    from titles
    inner join title_countries
        on titles.title_id = title_countries.title_id
    group by titles.release_year, titles.production_type

),

span as (

    select
        min(release_year) as first_year,
        max(release_year) as last_year
    from titles

),

digits as (

    select ten.digit
    from (values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) as ten (digit)

),

production_types as (

    select two.production_type
    from (values ('MOVIE'), ('SHOW')) as two (production_type)

),

-- Years without titles have rows too, so that the row before a year is the year before.
every_year as (

    select
        span.first_year + ones.digit + 10 * tens.digit + 100 * hundreds.digit as release_year,
        production_types.production_type,
        span.last_year
    from span
    cross join production_types
    cross join digits as ones
    cross join digits as tens
    cross join digits as hundreds
    where span.first_year + ones.digit + 10 * tens.digit + 100 * hundreds.digit <= span.last_year

),

filled as (

    select
        every_year.release_year,
        every_year.production_type,
        every_year.release_year = every_year.last_year as is_newest_year,
        coalesce(by_year.n_titles, 0) as n_titles,
        coalesce(by_year.n_co_productions, 0) as n_co_productions,
        coalesce(countries_by_year.n_countries, 0) as n_countries,
        coalesce(by_year.n_scored_titles, 0) as n_scored_titles,
        by_year.sum_tenths,
        by_year.n_weights,
        by_year.sum_tenths_by_votes,
        by_year.sum_runtime_min,
        by_year.n_with_runtime
    from every_year
    left join by_year
        on
            every_year.release_year = by_year.release_year
            and every_year.production_type = by_year.production_type
    left join countries_by_year
        on
            every_year.release_year = countries_by_year.release_year
            and every_year.production_type = countries_by_year.production_type

),

compared as (

    select
        *,
        sum(n_titles) over (partition by release_year) as year_n_titles,
        cast(sum(n_titles) over (
            partition by production_type
            order by release_year asc nulls last rows between unbounded preceding and current row
        ) as bigint) as cumulative_n_titles,
        lag(n_titles) over (
            partition by production_type order by release_year asc nulls last
        ) as previous_n_titles
    from filled

),

final as (

    select
        release_year,
        production_type,
        is_newest_year,
        n_titles,
        cast(n_titles as double) / nullif(year_n_titles, 0) as share_of_year,
        cumulative_n_titles,
        n_titles - previous_n_titles as yoy_change,
        cast(n_titles - previous_n_titles as double) / nullif(previous_n_titles, 0) as yoy_growth,
        n_countries,
        n_co_productions,
        n_scored_titles,
        cast(sum_tenths as double) / 10 / nullif(n_scored_titles, 0) as avg_imdb_score,
        cast(sum_tenths_by_votes as double) / 10 / nullif(n_weights, 0) as weighted_imdb_score,
        cast(sum_runtime_min as double) / nullif(n_with_runtime, 0) as avg_runtime_min
    from compared

)

select * from final
