{#- Built as a whole: an address that arrives late can move and renumber all versions of its customer. -#}

with

customers as (

    {{
        version_intervals(
            ref('stg_crm__customers'),
            ['customer_id'],
            ['rating_user_id', 'marketing_consent', 'created_at'],
            changed_at='updated_at',
        )
    }}

),

addresses as (

    {{
        version_intervals(
            ref('stg_crm__addresses'),
            ['address_id'],
            ['customer_id', 'address_kind', 'city', 'state_code', 'country_code'],
            changed_at='updated_at',
        )
    }}

),

billing_addresses as (

    select * from addresses
    where address_kind = 'billing'

),

-- Every moment at which something of a customer changes.
moments as (

    select
        customer_id,
        valid_from as moment
    from customers

    union

    select
        customer_id,
        valid_to as moment
    from customers
    where valid_to is not null

    union

    select
        customer_id,
        valid_from as moment
    from billing_addresses

    union

    select
        customer_id,
        valid_to as moment
    from billing_addresses
    where valid_to is not null

),

intervals as (

    select
        customer_id,
        moment as valid_from,
        lead(moment) over (partition by customer_id order by moment asc nulls last) as valid_to
    from moments

),

-- Of two billing addresses at one moment (one replaces the other), the later one counts.
versions as (

    select
        intervals.customer_id,
        intervals.valid_from,
        intervals.valid_to,
        customers.rating_user_id,
        customers.marketing_consent,
        customers.created_at,
        billing_addresses.city,
        billing_addresses.state_code,
        billing_addresses.country_code
    from intervals
    inner join customers
        on
            intervals.customer_id = customers.customer_id
            and {{ is_valid_at('customers', 'intervals.valid_from') }}
    left join billing_addresses
        on
            intervals.customer_id = billing_addresses.customer_id
            and {{ is_valid_at('billing_addresses', 'intervals.valid_from') }}
    qualify
        row_number() over (
            partition by intervals.customer_id, intervals.valid_from
            order by
                billing_addresses.valid_from desc nulls last,
                billing_addresses.address_id desc nulls last
        ) = 1

),

final as (

    select
        customer_id,
        cast(
            row_number() over (partition by customer_id order by valid_from asc nulls last) as integer
        ) as version_number,
        valid_from,
        valid_to,
        valid_to is null as is_current,
        rating_user_id,
        marketing_consent,
        created_at,
        city,
        state_code,
        country_code
    from versions

)

select * from final
