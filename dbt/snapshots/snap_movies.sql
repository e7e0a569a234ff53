{#- What movies.csv says of a film, and nothing else: dim_movies also has what links.csv says, and a version must not begin where
    another file changes. -#}
{% snapshot snap_movies %}

{{
    config(
        unique_key='movie_id',
        strategy='check',
        check_cols=['original_title', 'genres'],
        hard_deletes='invalidate',
    )
}}

select
    movie_id,
    original_title,
    title,
    release_year,
    genres
from {{ ref('dim_movies') }}

{% endsnapshot %}
