with

movies as (

    select * from {{ ref('int_movies__parsed') }}

),

exploded as (

    {{ select_exploded('movies', ['movie_id'], 'genre_list', 'genre') }}

),

one_per_genre as (

    select distinct
        movie_id,
        trim(genre) as genre
    from exploded
    where trim(genre) != ''

),

final as (

    select
        movie_id,
        md5(genre) as genre_key,
        genre,
        1.0 / count(*) over (partition by movie_id) as weight
    from one_per_genre

)

select
    movie_id,
    genre_key,
    genre,
    cast(weight as double) as weight
from final
