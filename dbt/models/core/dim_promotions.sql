with

promotions as (

    select * from {{ ref('stg_shop__promotions') }}

),

final as (

    select
        promotion_id,
        promotion_code,
        promotion_name,
        discount_percent,
        product_type,
        starts_on,
        ends_on
    from promotions

)

select * from final
