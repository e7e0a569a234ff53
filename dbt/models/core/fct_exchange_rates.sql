{#- Made whole: eight currencies have 70,000 hourly rates a year, and one late quote can move the interval before it, all
    rates of its moment (of the US dollar) and all of its day (of a preferred provider). -#}

{#- Providers by preference, from var rate_providers: case … when '<provider>' then <its place> end. -#}
{%- set providers = var('rate_providers') %}

with

-- A rate that is delivered again replaces the earlier one; what the files say decides, not when they came.
daily as (

    select * from {{ ref('stg_frankfurter__rates') }}
    qualify
        row_number() over (
            partition by base, rate_date, currency
            order by _object_key desc nulls last, rate desc nulls last
        ) = 1

),

hourly as (

    select * from {{ ref('stg_openexchangerates__rates') }}
    qualify
        row_number() over (
            partition by base, rate_at, currency
            order by _object_key desc nulls last, rate desc nulls last
        ) = 1

),

-- The ECB publishes about 16:00 in Frankfurt, which is 15:00 UTC in winter and 14:00 UTC in summer. From 15:00 UTC on a
-- rate is known all year round, so no order is converted by a rate that nobody could know.
quotes as (

    select
        'frankfurter' as rate_provider,
        base,
        currency,
        {{ hours_into('rate_date', 15) }} as valid_from,
        rate
    from daily

    union all

    select
        'openexchangerates' as rate_provider,
        base,
        currency,
        rate_at as valid_from,
        rate
    from hourly

),

-- US dollars for one unit of each base.
dollars as (

    select
        rate_provider,
        base,
        valid_from,
        rate as dollars
    from quotes
    where currency = 'USD' and base != 'USD'

    union all

    select distinct
        rate_provider,
        base,
        valid_from,
        cast(1 as decimal(18, 8)) as dollars
    from quotes
    where base = 'USD'

),

converted as (

    select
        quotes.rate_provider,
        quotes.base,
        quotes.currency,
        quotes.valid_from,
        cast(dollars.dollars as double) / cast(quotes.rate as double) as rate_to_usd
    from quotes
    inner join dollars
        on
            quotes.rate_provider = dollars.rate_provider
            and quotes.base = dollars.base
            and quotes.valid_from = dollars.valid_from
    where quotes.currency != 'USD'

    union all

    select
        rate_provider,
        base,
        base as currency,
        valid_from,
        cast(dollars as double) as rate_to_usd
    from dollars
    where base != 'USD'

),

ranked as (

    select
        rate_provider,
        base,
        currency,
        valid_from,
        cast(rate_to_usd as decimal(20, 10)) as rate_to_usd,
        case rate_provider
            {%- for provider in providers %}
            when '{{ provider }}' then {{ loop.index }}
            {%- endfor %}
        end as preference
    from converted
    -- What no currency is worth. Beyond it, amounts would not fit their type, and no order could be built.
    where rate_to_usd between 1e-10 and 100000

),

-- All rates of a currency on a day are from one provider, the most preferred one that has any.
preferred as (

    select * from ranked
    where preference is not null
    qualify
        preference = min(preference) over (partition by currency, cast(valid_from as date))
        and row_number() over (
            partition by currency, valid_from, preference order by base asc nulls last
        ) = 1

),

final as (

    select
        currency,
        valid_from,
        lead(valid_from) over (partition by currency order by valid_from asc nulls last) as valid_to,
        rate_to_usd,
        rate_provider,
        base as quoted_base
    from preferred

)

select * from final
