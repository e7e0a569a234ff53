{{ config(meta={'one_row_per': {'dataset': 'movielens/tags', 'where': normalized_tag('tag') ~ " != ''"}}) }}

with

tags as (

    select * from {{ ref('stg_movielens__tags') }}

),

latest as (

    select
        user_id,
        movie_id,
        tag,
        max(tagged_at) as tagged_at
    from tags
    where {{ normalized_tag('tag') }} != ''
    group by user_id, movie_id, tag

),

final as (

    select
        user_id,
        movie_id,
        tag,
        {{ tag_key('tag') }} as tag_key,
        tagged_at,
        cast(tagged_at as date) as tagged_on
    from latest

)

select * from final
