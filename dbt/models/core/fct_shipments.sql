with

latest as (

    {{ latest_versions(ref('stg_shop__shipments'), ['shipment_id']) }}

),

final as (

    select
        shipment_id,
        order_id,
        warehouse_id,
        carrier,
        shipped_at,
        {{ week_start('cast(shipped_at as date)') }} as week_start,
        delivered_at
    from latest

)

select * from final
