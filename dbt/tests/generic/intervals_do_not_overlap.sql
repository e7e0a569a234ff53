{#- Versions of a key have half-open intervals [valid_from, valid_to) that are not empty and do not overlap, and at most one
    of them, the last, has no end. A gap is allowed: the row was deleted meanwhile. -#}
{% test intervals_do_not_overlap(model, key) %}

with

versions as (

    select
        *,
        lead(valid_from) over (
            partition by {{ key | join(', ') }}
            order by valid_from asc nulls last, valid_to asc nulls last
        ) as next_valid_from
    from {{ model }}

)

select *
from versions
where
    valid_from is null
    or valid_to <= valid_from
    or valid_to > next_valid_from
    or (valid_to is null and next_valid_from is not null)

{% endtest %}
