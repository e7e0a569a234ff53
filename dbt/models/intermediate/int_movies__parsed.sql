{#- Matches the parentheses at the end if they contain a year or a span: "Title (1995)", "Title (2006–2007)",
    "Title (2007-)". Years before 1850 and after 2100 are not release years: the year of "Title (2999)" is unknown. -#}
{% set year = '18[5-9][0-9]|19[0-9]{2}|20[0-9]{2}|2100' %}
{% set year_at_end = '[(](' ~ year ~ ')[ ]*([-–][ ]*([0-9]{4})?[ ]*)?[)]$' %}

with

movies as (

    select * from {{ ref('stg_movielens__movies') }}

),

-- If a file lists a film twice, the tests of staging report it. One row is kept here, always the same one.
one_per_movie as (

    select
        movie_id,
        {{ trimmed('title') }} as original_title,
        nullif(nullif({{ trimmed('genres') }}, '(no genres listed)'), '') as genres
    from movies
    qualify
        row_number() over (
            partition by movie_id
            order by title desc nulls last, genres desc nulls last
        ) = 1

),

parsed as (

    select
        movie_id,
        original_title,
        coalesce(
            nullif({{ trimmed("regexp_replace(original_title, '" ~ year_at_end ~ "', '')") }}, ''),
            original_title
        ) as title,
        cast({{ regexp_group('original_title', year_at_end) }} as integer) as release_year,
        genres,
        {{ split_to_list('genres', '|') }} as genre_list
    from one_per_movie

)

select * from parsed
