{#- Only the columns from movies.csv. dim_movies also has columns from links.csv, and a change in that file must not
    start a new version. -#}
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
