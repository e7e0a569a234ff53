{#- All columns, so that of rows with the same title_id one is taken that does not depend on their order. -#}
{%- set columns = [
    'imdb_votes', 'tmdb_popularity', 'imdb_score', 'tmdb_score', 'title', 'production_type', 'release_year', 'runtime_min',
    'n_seasons', 'imdb_id', 'age_certification', 'genres', 'production_countries', 'description',
] %}

with

titles as (

    select * from {{ ref('stg_netflix__titles') }}

),

-- A file that names a title twice is reported by staging's tests. Here one of the rows is taken, always the same.
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
