with

lines as (

    select
        *,
        coalesce(state_code, 'unknown') as state
    from {{ ref('fct_order_lines') }}
    where country_code = 'US'

),

states as (

    select * from {{ ref('seed_us_states') }}

),

by_state as (

    select
        lines.state,
        {{ sales_measures('lines') }}
    from lines
    group by lines.state

),

-- All states, also those where nothing was sold; and what cannot be told, so that the sum is that of the country.
joined as (

    select
        coalesce(states.state_code, by_state.state) as state_code,
        states.state_name,
        cast(states.tile_row as integer) as tile_row,
        cast(states.tile_column as integer) as tile_column,
        coalesce(by_state.n_orders, 0) as n_orders,
        coalesce(by_state.n_lines, 0) as n_lines,
        coalesce(by_state.n_pieces, 0) as n_pieces,
        cast(coalesce(by_state.revenue_usd, 0) as decimal(38, 4)) as revenue_usd,
        cast(coalesce(by_state.cost_usd, 0) as decimal(38, 4)) as cost_usd,
        cast(coalesce(by_state.profit_usd, 0) as decimal(38, 4)) as profit_usd,
        by_state.margin,
        cast(coalesce(by_state.refunded_usd, 0) as decimal(38, 4)) as refunded_usd,
        cast(coalesce(by_state.cancelled_usd, 0) as decimal(38, 4)) as cancelled_usd
    from states
    full outer join by_state
        on states.state_code = by_state.state

),

final as (

    select
        *,
        cast(revenue_usd as double) / nullif(cast(sum(revenue_usd) over () as double), 0) as revenue_share,
        cast(
            row_number() over (order by revenue_usd desc nulls last, state_code asc nulls last) as integer
        ) as revenue_rank
    from joined

)

select * from final
