with

versions as (

    select * from {{ ref('dim_customer_versions') }}

),

latest as (

    select * from versions
    qualify row_number() over (partition by customer_id order by valid_from desc nulls last) = 1

),

final as (

    select
        customer_id,
        rating_user_id,
        marketing_consent,
        created_at,
        valid_to as deleted_at,
        not is_current as is_deleted,
        city,
        state_code,
        country_code
    from latest

)

select * from final
