with

warehouses as (

    select * from {{ ref('stg_shop__warehouses') }}
    qualify
        row_number() over (
            partition by warehouse_id
            order by
                updated_at desc nulls last,
                {{ values_of(ref('stg_shop__warehouses'), ['warehouse_id']) }}
        ) = 1

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
