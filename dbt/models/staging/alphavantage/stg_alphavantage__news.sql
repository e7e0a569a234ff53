-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('alphavantage', 'news') }}

),

renamed as (

    select
        ---------- ids
        url,

        ---------- text
        title,
        summary,
        news_source,
        source_domain,
        provider_label,

        ---------- numbers
        provider_score,

        ---------- times
        published_at,

        ---------- json
        authors,
        topics,
        ticker_sentiment,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
