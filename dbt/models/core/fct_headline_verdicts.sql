with

latest as (

    select * from {{ ref('stg_sentiment__headlines') }}
    qualify
        row_number() over (
            partition by url, title, scorer
            order by
                _object_key desc nulls last,
                score desc nulls last,
                verdict desc nulls last,
                language desc nulls last,
                reason desc nulls last
        ) = 1

),

final as (

    select
        url,
        title,
        scorer,
        language,
        score,
        verdict,
        reason
    from latest

)

select * from final
