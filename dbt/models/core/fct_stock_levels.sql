with

latest as (

    {{ latest_versions(ref('stg_shop__stock_levels'), ['warehouse_id', 'product_id', 'counted_on']) }}

),

final as (

    select
        warehouse_id,
        product_id,
        counted_on,
        {{ week_start('counted_on') }} as week_start,
        on_hand,
        reorder_point
    from latest

)

select * from final
