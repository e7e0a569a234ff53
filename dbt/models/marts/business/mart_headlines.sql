{%- set min_score = var('sentiment_min_score') -%}
with

-- A headline that is delivered again replaces the earlier one; what the files say decides, not when they came.
news as (

    select * from {{ ref('stg_alphavantage__news') }}
    qualify
        row_number() over (
            partition by url
            order by
                published_at desc nulls last,
                _object_key desc nulls last,
                title desc nulls last,
                provider_score desc nulls last
        ) = 1

),

verdicts as (

    select * from {{ ref('stg_sentiment__headlines') }}
    qualify
        row_number() over (
            partition by url, scorer
            order by _object_key desc nulls last, score desc nulls last, verdict desc nulls last
        ) = 1

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
        cast(news.published_at as date) as published_on,
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
        on news.url = counted.url

)

select * from final
