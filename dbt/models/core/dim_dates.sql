{%- set first_month = var('fiscal_year_first_month') | int %}
with

digits as (

    select ten.digit
    from (values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) as ten (digit)

),

numbers as (

    select
        ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit
        + 10000 * ten_thousands.digit as day_number
    from digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
    cross join digits as ten_thousands

),

-- The same days whatever the facts have, so that a new order does not make the calendar, and what reads it, change.
-- Contracts allow times up to 2100.
days as (

    select {{ add_days("cast('1970-01-01' as date)", 'day_number') }} as date_day
    from numbers

),

weeks as (

    select
        date_day,
        {{ week_start('date_day') }} as week_start
    from days
    where date_day < cast('2101-01-01' as date)

),

-- A week belongs to the fiscal year of its Thursday. The first week is the one with the fourth day of the first month,
-- so with January fiscal weeks are ISO weeks.
thursdays as (

    select
        *,
        {{ add_days('week_start', 3) }} as thursday
    from weeks

),

fiscal_years as (

    select
        *,
        extract(year from thursday)
        - case when extract(month from thursday) < {{ first_month }} then 1 else 0 end as starts_in_year
    from thursdays

),

first_weeks as (

    select
        *,
        cast(cast(starts_in_year as varchar) || '-{{ '%02d' % first_month }}-04' as date) as fourth_day
    from fiscal_years

),

final as (

    select
        date_day,
        cast(extract(year from date_day) as integer) as year_number,
        cast(extract(quarter from date_day) as integer) as quarter_number,
        cast(extract(month from date_day) as integer) as month_number,
        cast(extract(day from date_day) as integer) as day_of_month,
        {{ iso_day_of_week('date_day') }} as iso_dow,
        {{ iso_day_of_week('date_day') }} >= 6 as is_weekend,
        cast(date_trunc('month', date_day) as date) as month_start,
        week_start,
        cast(starts_in_year{{ ' + 1' if first_month > 1 }} as integer) as fiscal_year,
        cast(
            floor(cast(datediff('day', {{ week_start('fourth_day') }}, week_start) as double) / 7)
            + 1 as integer
        ) as fiscal_week
    from first_weeks

)

select * from final
