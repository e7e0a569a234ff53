with

latest as (

    {{ latest_versions(ref('stg_shop__products'), ['product_id']) }}

),

final as (

    select
        product_id,
        sku,
        product_type,
        product_name,
        title_id,
        unit_cost_usd,
        is_active
    from latest

)

select * from final
