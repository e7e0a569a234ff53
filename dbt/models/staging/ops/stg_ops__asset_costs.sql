{#- Only Snowflake has a query history, and not every account has the view. -#}
{%- set costs = source('ops', 'cost_of_assets') -%}
{%- set has_costs = execute and adapter.get_relation(costs.database, costs.schema, costs.identifier) -%}

with

source as (

    {% if has_costs -%}
    select * from {{ costs }}
    {%- else -%}
    select
        cast(null as varchar) as asset,
        cast(null as varchar) as node,
        cast(null as bigint) as n_statements,
        cast(null as double) as seconds,
        cast(null as double) as credits_compute
    from {{ source('ops', 'loads') }}
    where false
    {%- endif %}

),

renamed as (

    select
        ---------- ids
        asset,
        node,

        ---------- numbers
        n_statements,
        seconds,
        credits_compute
    from source

)

select * from renamed
