with

titles as (

    select * from {{ ref('int_titles__parsed') }}

),

exploded as (

    {{ select_exploded('titles', ['title_id'], 'country_list', 'country') }}

),

final as (

    select distinct
        title_id,
        {{ trimmed('country') }} as country
    from exploded
    where {{ trimmed('country') }} != ''

)

select * from final
