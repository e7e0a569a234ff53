{#-
    Which rows of a large table a test of its key looks at, as a query of the columns of the key. Proving 25 million keys
    unique takes as long as the build of the table; a build with 1 % of new rows changes only their keys.

    - The whole table, unless this test has passed before and every build since has passed: after a full refresh, a
      rebuild of the model, a failed or killed build, and a build by hand.
    - Otherwise all rows whose keys are in loads that came after the build in which the test passed, and one of 17 slices
      of the table, another one in each build. So each key is proved again at least every 17 builds (17 is prime: a run
      that makes two builds meets every slice too).

    The strategy by_loads, which is the only one to write these tables, also refuses to write a key twice.

    `dataset`: whose loads the rows' _load_id names. `slice_by`: a whole number that spreads the rows.
-#}
{% macro rows_to_prove(relation, key, dataset, slice_by) -%}
    {%- set last = last_proof() -%}
    select {{ key | join(', ') }}
    from {{ relation }}
    {%- if last %}
    where
        abs({{ slice_by }}) % 17 = {{ last.n_builds % 17 }}
        or ({{ key | join(', ') }}) in (
            select {{ key | join(', ') }}
            from {{ relation }}
            where _load_id > {{ last.inputs.get(dataset, 0) }}
        )
    {%- endif %}
{%- endmacro %}


{#- The build in which the running test last passed, as n_builds (how many there were until today) and inputs (dataset ->
    its last load). None if the whole table is to be proved. -#}
{% macro last_proof() -%}
    {%- set tested = graph.nodes.get(model.attached_node) if execute -%}
    {%- set is_made_new = flags.FULL_REFRESH or (tested and tested.name in env_var('NETFLIX_REBUILD_NODES', '').split(',')) -%}
    {%- set results = api.Relation.create(database=target.database, schema='ops', identifier='test_results') -%}
    {%- if not execute or flags.WHICH not in ('build', 'test') or is_made_new or load_relation(results) is none -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set found = run_query(_proofs(results, target.database ~ '.ops.builds')).rows[0] -%}
    {{ return({'n_builds': found[0], 'inputs': fromjson(found[2])} if found[2] and found[1] == 0 else none) }}
{%- endmacro %}


{% macro _proofs(results, builds) -%}
    with proofs as (
        select builds.started_at, builds.inputs
        from {{ results }} as results
        inner join {{ builds }} as builds
            on results.invocation_id = builds.invocation_id
        where
            results.schema_prefix = '{{ schema_prefix() }}'
            and results.test_id = '{{ model.unique_id }}'
            and results.status = 'pass'
        qualify row_number() over (order by builds.started_at desc nulls last) = 1
    )

    select
        count(*) as n_builds,
        count(
            case when builds.started_at > proofs.started_at and not coalesce(builds.has_passed, false) then 1 end
        ) as n_not_passed,
        max(proofs.inputs) as inputs
    from {{ builds }} as builds
    left join proofs
        on true
    where
        builds.schema_prefix = '{{ schema_prefix() }}'
        and builds.invocation_id != '{{ invocation_id }}'
{%- endmacro %}
