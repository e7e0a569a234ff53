{%- set window = 'rows between ' ~ (var('sentiment_window_days') | int - 1) ~ ' preceding and current row' -%}
with

headlines as (

    select
        *,
        {{ millionths('score') }} as score_millionths,
        {{ millionths('provider_score') }} as provider_millionths,
        score is not null and provider_score is not null as is_in_both
    from {{ ref('mart_headlines') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

span as (

    select
        min(published_on) as first_day,
        max(published_on) as newest_day
    from headlines

),

by_day as (

    select
        published_on,
        count(*) as n_headlines,
        count(score) as n_judged,
        count(case when verdict = 'positive' then 1 end) as n_positive,
        count(case when verdict = 'neutral' then 1 end) as n_neutral,
        count(case when verdict = 'negative' then 1 end) as n_negative,
        count(case when is_in_both then 1 end) as n_in_both,
        count(case when is_in_both and verdict = provider_verdict then 1 end) as n_agreeing,
        sum(score_millionths) as sum_score,
        sum(case when is_in_both then provider_millionths end) as sum_provider
    from headlines
    group by published_on

),

filled as (

    select
        dates.date_day,
        dates.date_day = span.newest_day as is_newest_day,
        coalesce(by_day.n_headlines, 0) as n_headlines,
        coalesce(by_day.n_judged, 0) as n_judged,
        coalesce(by_day.n_positive, 0) as n_positive,
        coalesce(by_day.n_neutral, 0) as n_neutral,
        coalesce(by_day.n_negative, 0) as n_negative,
        coalesce(by_day.n_in_both, 0) as n_in_both,
        coalesce(by_day.n_agreeing, 0) as n_agreeing,
        coalesce(by_day.sum_score, 0) as sum_score,
        coalesce(by_day.sum_provider, 0) as sum_provider
    from dates
    cross join span
    left join by_day
        on dates.date_day = by_day.published_on
    where dates.date_day between span.first_day and span.newest_day

),

-- The moving means are of headlines, not of days: a day with one headline does not weigh as much as one with ten.
summed as (

    select
        *,
        sum(n_judged) over (order by date_day asc nulls last {{ window }}) as n_judged_moving,
        sum(n_in_both) over (order by date_day asc nulls last {{ window }}) as n_in_both_moving,
        sum(sum_score) over (order by date_day asc nulls last {{ window }}) as sum_score_moving,
        sum(sum_provider) over (order by date_day asc nulls last {{ window }}) as sum_provider_moving
    from filled

),

final as (

    select
        date_day,
        is_newest_day,
        n_headlines,
        n_judged,
        n_headlines - n_judged as n_not_judged,
        n_positive,
        n_neutral,
        n_negative,
        cast(sum_score as double) / 1000000 / nullif(n_judged, 0) as avg_score,
        cast(sum_provider as double) / 1000000 / nullif(n_in_both, 0) as avg_provider_score,
        n_in_both,
        n_agreeing,
        cast(n_judged_moving as bigint) as n_judged_moving,
        cast(sum_score_moving as double)
        / 1000000 / nullif(cast(n_judged_moving as double), 0) as avg_score_moving,
        cast(sum_provider_moving as double)
        / 1000000 / nullif(cast(n_in_both_moving as double), 0) as avg_provider_score_moving
    from summed

)

select * from final
