{#- "Title (1995)", "Title (2006–2007)", "Title (2007-)": the parentheses at the end, if they hold a year or a span. -#}
{% set year_at_end = '[(]([0-9]{4})[ ]*([-–][ ]*([0-9]{4})?[ ]*)?[)]$' %}

with

movies as (

    select * from {{ ref('stg_movielens__movies') }}

),

-- A file that names a film twice is reported by staging's tests. Here one of the rows is taken, always the same.
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
