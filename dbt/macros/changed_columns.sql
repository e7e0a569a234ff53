{#- dbt calls this where the columns of an incremental model differ from those of its table (on_schema_change: fail). Its
    own message does not say how to rebuild the model in this project. -#}
{% macro default__process_schema_changes(on_schema_change, source_relation, target_relation) -%}
    {%- set changes = check_for_schema_changes(source_relation, target_relation) -%}
    {%- if changes['schema_changed'] -%}
        {%- set found -%}
            {%- for column in changes['source_not_in_target'] %}, {{ column.name }} is new{% endfor -%}
            {%- for column in changes['target_not_in_source'] %}, {{ column.name }} is gone{% endfor -%}
            {%- for column in changes['new_target_types'] -%}
                , {{ column['column_name'] }} is now {{ column['new_type'] }}
            {%- endfor -%}
        {%- endset -%}
        {%- do exceptions.raise_compiler_error(
            'the columns of ' ~ target_relation.schema ~ '.' ~ target_relation.identifier ~ ' have changed: ' ~ found[2:]
            ~ '. Rebuild it once: netflix-assets run --full-refresh'
        ) -%}
    {%- endif -%}
    {{ return(changes['source_columns']) }}
{%- endmacro %}


{#- Give the columns of a snapshot's table the types that its query has now. A full refresh does not rebuild snapshots, and
    dbt would write a bigint into the integer of an older contract. Run before the snapshot. -#}
{% macro widen_snapshot() -%}
    {{ return(adapter.dispatch('widen_snapshot', 'netflix_assets')()) }}
{%- endmacro %}

{% macro default__widen_snapshot() -%}
    {%- if execute and load_relation(this) is not none -%}
        {%- set found = {} -%}
        {%- for column in adapter.get_columns_in_relation(this) -%}
            {%- do found.update({column.name: column.data_type}) -%}
        {%- endfor -%}
        {%- for column in get_column_schema_from_query(model['compiled_code']) -%}
            {%- if column.name in found and found[column.name] != column.data_type -%}
                alter table {{ this }} alter column {{ column.name }} type {{ column.data_type }};
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{#- Nothing to do: INTEGER and BIGINT are both NUMBER(38, 0), and VARCHAR has no length. -#}
{% macro snowflake__widen_snapshot() -%}
{%- endmacro %}
