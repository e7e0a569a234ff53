{#- Accounting identity: in every row the parts add up to the total. -#}
{% test adds_up(model, total, parts) %}

select *
from {{ model }}
where {{ total }} is distinct from ({{ parts | join(' + ') }})

{% endtest %}
