with

warehouses as (

    select * from {{ ref('stg_shop__warehouses') }}

),

final as (

    select
        warehouse_id,
        warehouse_code,
        warehouse_name,
        country_code,
        time_zone,
        opened_on
    from warehouses

)

select * from final
