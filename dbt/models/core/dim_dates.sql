with

rating_days as (

    select * from {{ ref('int_users__rating_days') }}

),

tags as (

    select * from {{ ref('fct_tags') }}

),

spans as (

    select
        min(rated_on) as first_day,
        max(rated_on) as last_day
    from rating_days
    union all
    select
        min(tagged_on) as first_day,
        max(tagged_on) as last_day
    from tags

),

years as (

    select
        extract(year from min(first_day)) as first_year,
        extract(year from max(last_day)) as last_year
    from spans

),

digits as (

    select ten.digit
    from (values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) as ten (digit)

),

-- Every day for 273 years from 1970. The contract allows times up to 2100.
days as (

    select
        {{ add_days(
            "cast('1970-01-01' as date)",
            'ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit + 10000 * ten_thousands.digit'
        ) }} as date_day
    from digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
    cross join digits as ten_thousands

),

final as (

    select
        days.date_day,
        cast(extract(year from days.date_day) as integer) as year_number,
        cast(extract(quarter from days.date_day) as integer) as quarter_number,
        cast(extract(month from days.date_day) as integer) as month_number,
        cast(extract(day from days.date_day) as integer) as day_of_month,
        {{ iso_day_of_week('days.date_day') }} as iso_dow,
        {{ iso_day_of_week('days.date_day') }} >= 6 as is_weekend,
        cast(date_trunc('month', days.date_day) as date) as month_start
    from days
    inner join years
        on extract(year from days.date_day) between years.first_year and years.last_year

)

select * from final
