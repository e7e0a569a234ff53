with

costs as (

    select * from {{ ref('stg_shop__product_costs') }}

),

final as (

    select
        product_id,
        case
            when row_number() over (partition by product_id order by valid_from asc nulls last) = 1
                then cast('1970-01-01' as timestamp)
            else valid_from
        end as valid_from,
        lead(valid_from) over (partition by product_id order by valid_from asc nulls last) as valid_to,
        unit_cost_usd
    from costs

)

select * from final
