{#- Sorting by all columns makes the row kept per title_id independent of row order. -#}
{%- set columns = [
    'imdb_votes', 'tmdb_popularity', 'imdb_score', 'tmdb_score', 'title', 'production_type', 'release_year', 'runtime_min',
    'n_seasons', 'imdb_id', 'age_certification', 'genres', 'production_countries', 'description',
] %}

with

titles as (

    select * from {{ ref('stg_netflix__titles') }}

),

-- If a file lists a title twice, the tests of staging report it. One row is kept here, always the same one.
one_per_title as (

    select *
    from titles
    qualify
        row_number() over (
            partition by title_id
            order by {{ columns | join(' desc nulls last, ') }} desc nulls last
        ) = 1

),

with_lists as (

    select
        *,
        {{ printed_list_body('genres') }} as genre_texts,
        {{ printed_list_body('production_countries') }} as country_texts
    from one_per_title

),

parsed as (

    select
        title_id,
        nullif({{ trimmed('title') }}, '') as title,
        production_type,
        nullif({{ trimmed('description') }}, '') as description,
        release_year,
        nullif({{ trimmed('age_certification') }}, '') as age_certification,
        nullif(runtime_min, 0) as runtime_min,
        n_seasons,
        replace(genre_texts, '{{ printed_list_separator() }}', '|') as genres,
        {{ split_to_list('genre_texts', printed_list_separator()) }} as genre_list,
        replace(country_texts, '{{ printed_list_separator() }}', '|') as countries,
        {{ split_to_list('country_texts', printed_list_separator()) }} as country_list,
        imdb_id,
        imdb_score,
        imdb_votes,
        tmdb_popularity,
        tmdb_score
    from with_lists

)

select * from parsed
