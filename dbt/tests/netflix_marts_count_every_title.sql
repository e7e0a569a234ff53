-- Accounting from files to marts: every title counts once under genre 'all', once split among genres and once by year.
-- Every credit counts once.
-- It reads five models; `meta.dagster` names the one that shows the test as an asset check.
{{ config(meta={'dagster': {'ref': {'name': 'mart_content_mix'}}}) }}

with

netflix_titles as (

    select * from {{ ref('dim_netflix_titles') }}

),

content_mix as (

    select * from {{ ref('mart_content_mix') }}

),

content_by_year as (

    select * from {{ ref('mart_content_by_year') }}

),

credits as (

    select * from {{ ref('stg_netflix__credits') }}

),

title_credits as (

    select * from {{ ref('bridge_title_credits') }}

),

titles as (

    select
        production_type,
        count(*) as n_titles
    from netflix_titles
    group by production_type

),

by_genre as (

    select
        production_type,
        sum(case when genre = 'all' then n_titles else 0 end) as n_titles,
        sum(case when genre = 'all' then 0 else n_titles_split end) as n_titles_split
    from content_mix
    group by production_type

),

-- A year has a row for each type, including types without titles.
by_year as (

    select
        production_type,
        sum(n_titles) as n_titles,
        max(cumulative_n_titles) as cumulative_n_titles
    from content_by_year
    group by production_type
    having sum(n_titles) > 0

),

title_mismatches as (

    select coalesce(titles.production_type, by_genre.production_type, by_year.production_type) as what
    from titles
    full outer join by_genre
        on titles.production_type = by_genre.production_type
    full outer join by_year
        on titles.production_type = by_year.production_type
    where
        titles.n_titles is distinct from by_genre.n_titles
        or titles.n_titles is distinct from by_year.n_titles
        or titles.n_titles is distinct from by_year.cumulative_n_titles
        or abs(titles.n_titles - by_genre.n_titles_split) > titles.n_titles * 0.000001

),

staged as (

    select count(*) as n_credits
    from credits

),

bridged as (

    select coalesce(sum(n_credits), 0) as n_credits
    from title_credits

),

credit_mismatches as (

    select 'credits' as what
    from staged
    cross join bridged
    where staged.n_credits != bridged.n_credits

)

select what from title_mismatches
union all
select what from credit_mismatches
