with

promotions as (

    select * from {{ ref('stg_shop__promotions') }}
    qualify
        row_number() over (
            partition by promotion_id
            order by
                updated_at desc nulls last,
                {{ values_of(ref('stg_shop__promotions'), ['promotion_id']) }}
        ) = 1

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
