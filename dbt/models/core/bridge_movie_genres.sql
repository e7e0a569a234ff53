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
        {{ trimmed('genre') }} as genre
    from exploded
    where {{ trimmed('genre') }} != ''

),

final as (

    select
        movie_id,
        md5(genre) as genre_key,
        genre,
        cast(1 as double) / count(*) over (partition by movie_id) as weight
    from one_per_genre

)

select * from final
