{%- set min_score = var('sentiment_min_score') -%}
with

news as (

    select * from {{ ref('fct_headlines') }}

),

verdicts as (

    select * from {{ ref('fct_headline_verdicts') }}

),

-- One scorer counts for all headlines: scores of two are not comparable.
counted as (

    select * from verdicts
    {%- if var('sentiment_scorer') %}
    where scorer = '{{ var('sentiment_scorer') }}'
    {%- else %}
    where scorer = (select max(last_one.scorer) from verdicts as last_one)
    {%- endif %}

),

final as (

    select
        news.url,
        news.title,
        news.published_at,
        news.published_on,
        news.news_source,
        news.source_domain,
        counted.scorer,
        counted.language,
        counted.score,
        coalesce(counted.verdict, 'not_scored') as verdict,
        counted.reason,
        news.provider_score,
        news.provider_label,
        case
            when news.provider_score >= {{ min_score }} then 'positive'
            when news.provider_score <= -{{ min_score }} then 'negative'
            when news.provider_score is not null then 'neutral'
        end as provider_verdict,
        row_number() over (
            order by news.published_at desc nulls last, news.url asc nulls last
        ) as recency_rank,
        row_number() over (
            order by news.published_at desc nulls last, news.url asc nulls last
        ) <= {{ var('charted_rows') }} as is_charted
    from news
    left join counted
        on
            news.url = counted.url
            and news.title = counted.title

)

select * from final
