with

-- A headline that is delivered again replaces the earlier one; what the files say decides, not when they came.
latest as (

    select * from {{ ref('stg_alphavantage__news') }}
    qualify
        row_number() over (
            partition by url
            order by
                published_at desc nulls last,
                _object_key desc nulls last,
                title desc nulls last,
                provider_score desc nulls last,
                provider_label desc nulls last,
                news_source desc nulls last,
                source_domain desc nulls last
        ) = 1

),

final as (

    select
        url,
        title,
        published_at,
        cast(published_at as date) as published_on,
        news_source,
        source_domain,
        provider_score,
        provider_label
    from latest

)

select * from final
