with

titles as (

    select * from {{ ref('int_titles__parsed') }}

),

exploded as (

    {{ select_exploded('titles', ['title_id'], 'genre_list', 'genre') }}

),

one_per_genre as (

    select distinct
        title_id,
        {{ trimmed('genre') }} as genre
    from exploded
    where {{ trimmed('genre') }} != ''

),

final as (

    select
        title_id,
        genre,
        cast(1 as double) / count(*) over (partition by title_id) as weight
    from one_per_genre

)

select * from final
