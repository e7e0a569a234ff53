{#-
    Every statement of a node carries a QUERY_TAG on Snowflake, so that the query history says what a run, a node or an
    asset has cost: {"project", "env", "run", "node", "asset"}. The asset of a test is what it tests.

    dbt calls set_query_tag before and unset_query_tag after each node. Its own way asks for the old tag before and puts it
    back after: three statements a node, of which two say nothing here, since the next node of the session sets its own.
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


{#- <layer>/<name>, as Dagster names the node; of a test, of the node that it tests. -#}
{% macro asset_of(node) -%}
    {% if node.resource_type == 'unit_test' %}
        {# It sees no graph, and stands beside its model. #}
        {{ return(node.fqn[1] ~ '/' ~ node.tested_node_unique_id.split('.')[-1]) }}
    {% elif node.resource_type == 'test' %}
        {{ return(asset_of(graph.nodes[node.attached_node or node.depends_on.nodes[0]])) }}
    {% endif %}
    {% set layer = {'seed': 'seeds', 'snapshot': 'snapshots'}.get(node.resource_type, node.fqn[1]) %}
    {{ return(layer ~ '/' ~ node.name) }}
{%- endmacro %}


{#- dbt tags models, seeds, snapshots and tests, but forgets unit tests: they would count for the node before them. -#}
{% materialization unit, adapter='snowflake' %}
    {% do set_query_tag() %}
    {{ return(materialization_unit_default()) }}
{% endmaterialization %}
