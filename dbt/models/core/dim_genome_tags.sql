with

genome_tags as (

    select * from {{ ref('stg_movielens__genome_tags') }}

),

final as (

    select
        tag_id,
        tag,
        {{ tag_key('tag') }} as tag_key
    from genome_tags
    qualify row_number() over (partition by tag_id order by tag desc nulls last) = 1

)

select * from final
