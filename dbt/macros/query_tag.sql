{#-
    On Snowflake every statement of a node carries a QUERY_TAG, so the query history shows the cost of a run, a node or
    an asset: {"project", "env", "run", "node", "asset"}. The asset of a test is the asset it tests.

    dbt calls set_query_tag before each node and unset_query_tag after it. dbt's default reads the old tag first and
    restores it afterwards: three statements per node. Two of them are unnecessary here, because the next node sets its
    own tag.
-#}

{% macro snowflake__set_query_tag() -%}
    {% set tag = {
        'project': project_name,
        'env': env_var('NETFLIX_ENV', '') or 'local',
        'run': env_var('NETFLIX_RUN_ID', ''),
        'node': model.unique_id,
        'asset': asset_of(model),
    } %}
    {% do run_query("alter session set query_tag = '" ~ tojson(tag) | replace('\\', '\\\\') | replace("'", "''") ~ "'") %}
{%- endmacro %}


{% macro snowflake__unset_query_tag(original_query_tag) -%}
{%- endmacro %}


{#- The asset key in Dagster, <layer>/<name>. For a test, the key of the tested node. -#}
{% macro asset_of(node) -%}
    {% if node.resource_type == 'unit_test' %}
        {# A unit test has no access to the graph, but is in the folder of its model. #}
        {{ return(node.fqn[1] ~ '/' ~ node.tested_node_unique_id.split('.')[-1]) }}
    {% elif node.resource_type == 'test' %}
        {{ return(asset_of(graph.nodes[node.attached_node or node.depends_on.nodes[0]])) }}
    {% endif %}
    {% set layer = {'seed': 'seeds', 'snapshot': 'snapshots'}.get(node.resource_type, node.fqn[1]) %}
    {{ return(layer ~ '/' ~ node.name) }}
{%- endmacro %}


{#- dbt does not tag unit tests. Without this, their cost would count towards the previous node. -#}
{% materialization unit, adapter='snowflake' %}
    {% do set_query_tag() %}
    {{ return(materialization_unit_default()) }}
{% endmaterialization %}
