{#- A snapshot is a consistent history: every version has a key and a time, versions do not overlap, and a key has at
    most one current version. Passes while the snapshot does not exist, so `dbt test` can run before `dbt snapshot`. -#}
{% test is_a_history(model, key) %}

{% if execute and load_relation(model) is none %}

select no_snapshot.to_test
from (select 1 as to_test) as no_snapshot
where false

{% else %}

with

versions as (

    select
        *,
        lead(dbt_valid_from) over (
            partition by {{ key | join(', ') }}
            order by dbt_valid_from asc nulls last, dbt_valid_to asc nulls last
        ) as next_valid_from
    from {{ model }}

)

select
    {{ key | join(', ') }},
    dbt_scd_id,
    dbt_valid_from,
    dbt_valid_to,
    next_valid_from
from versions
where
    {% for column in key -%}
    {{ column }} is null or
    {% endfor -%}
    dbt_scd_id is null
    or dbt_updated_at is null
    or dbt_valid_from is null
    or dbt_valid_to < dbt_valid_from
    or dbt_valid_to > next_valid_from
    or (dbt_valid_to is null and next_valid_from is not null)

{% endif %}

{% endtest %}
