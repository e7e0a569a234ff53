{#- Made whole: each snapshot of the source has all rows, a few thousand. -#}

with

-- A file may name a moment twice; the database does not.
prices as (

    select * from {{ ref('stg_shop__product_prices') }}
    qualify
        row_number() over (
            partition by product_id, currency, valid_from
            order by _object_key desc nulls last, list_price desc nulls last
        ) = 1

),

final as (

    select
        product_id,
        currency,
        valid_from,
        lead(valid_from) over (
            partition by product_id, currency order by valid_from asc nulls last
        ) as valid_to,
        list_price
    from prices

)

select * from final
