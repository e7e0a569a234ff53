{#- Tests a key of several columns: no two rows have the same values in all of them. For a large table that is built by
    loads or by digest, `slice_by` and `dataset` say how to look at a part of it (macros/rows_to_prove.sql). -#}
{% test unique_combination(model, columns, slice_by=none, dataset=none) %}

with

keys as (

    {% if slice_by -%}
    {{ rows_to_prove(model, columns, dataset, slice_by) }}
    {%- else -%}
    select {{ columns | join(', ') }}
    from {{ model }}
    {%- endif %}

)

select
    {{ columns | join(', ') }},
    count(*) as n_rows
from keys
group by {{ columns | join(', ') }}
having count(*) > 1

{% endtest %}
