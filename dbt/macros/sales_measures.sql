{#- The measures of order lines that the business marts share, so that revenue means the same in each. Only lines that
    customers kept are revenue. A line without a rate has no amount in US dollars, and is counted instead. The margin
    covers the lines whose revenue and cost are both known. -#}
{% macro sales_measures(lines) -%}
    count(distinct case when {{ lines }}.outcome = 'kept' then {{ lines }}.order_id end) as n_orders,
    count(case when {{ lines }}.outcome = 'kept' then 1 end) as n_lines,
    cast(coalesce(sum(case when {{ lines }}.outcome = 'kept' then {{ lines }}.quantity end), 0) as bigint) as n_pieces,
    count(case when {{ lines }}.outcome = 'kept' and {{ lines }}.net_usd is null then 1 end) as n_lines_without_rate,
    count(case when {{ lines }}.outcome = 'kept' and {{ lines }}.cost_usd is null then 1 end) as n_lines_without_cost,
    cast(coalesce(sum({{ lines }}.revenue_usd), 0) as decimal(38, 4)) as revenue_usd,
    cast(
        coalesce(
            sum(case when {{ lines }}.outcome = 'kept' and {{ lines }}.net_usd is not null then {{ lines }}.cost_usd end), 0
        ) as decimal(38, 4)
    ) as cost_usd,
    cast(coalesce(sum({{ lines }}.profit_usd), 0) as decimal(38, 4)) as profit_usd,
    cast(sum({{ lines }}.profit_usd) as double)
    / nullif(
        cast(sum(case when {{ lines }}.profit_usd is not null then {{ lines }}.revenue_usd end) as double), 0
    ) as margin,
    cast(coalesce(sum({{ lines }}.refunded_usd), 0) as decimal(38, 4)) as refunded_usd,
    cast(coalesce(sum({{ lines }}.cancelled_usd), 0) as decimal(38, 4)) as cancelled_usd
{%- endmacro %}
