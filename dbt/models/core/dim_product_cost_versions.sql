{#- Made whole: each snapshot of the source has all rows, a few thousand. -#}

with

-- A file may name a moment twice; the database does not.
costs as (

    select * from {{ ref('stg_shop__product_costs') }}
    qualify
        row_number() over (
            partition by product_id, valid_from
            order by _object_key desc nulls last, unit_cost_usd desc nulls last
        ) = 1

),

final as (

    select
        product_id,
        case
            when row_number() over (partition by product_id order by valid_from asc nulls last) = 1
                then least(valid_from, cast('1970-01-01' as timestamp))
            else valid_from
        end as valid_from,
        lead(valid_from) over (partition by product_id order by valid_from asc nulls last) as valid_to,
        unit_cost_usd
    from costs

)

select * from final
