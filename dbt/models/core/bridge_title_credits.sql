with

credits as (

    select * from {{ ref('stg_netflix__credits') }}

),

-- Repeated rows count as one character.
by_character as (

    select
        title_id,
        person_id,
        role,
        nullif({{ trimmed('character_name') }}, '') as character_name,
        max({{ trimmed('person_name') }}) as person_name,
        count(*) as n_credits
    from credits
    group by title_id, person_id, role, nullif({{ trimmed('character_name') }}, '')

),

final as (

    select
        title_id,
        person_id,
        role,
        max(person_name) as person_name,
        {{ join_text('character_name', ' / ', 'character_name asc nulls last') }} as character_names,
        cast(sum(n_credits) as bigint) as n_credits
    from by_character
    group by title_id, person_id, role

)

select * from final
