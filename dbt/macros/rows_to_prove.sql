{#-
    The rows of a large table whose keys a test proves to be unique, as a query of the key's columns. Proving 25 million
    keys unique takes as long as building the table; a build with 1 % of new rows changes only their keys.

    - All rows, unless this test has passed before and every build since has passed: after a full refresh, a
      rebuild of the model, a failed or killed build, and a build by hand.
    - Otherwise all rows whose keys are in loads that came after the build in which the test passed, and one of 17 slices
      of the table, the next one in each build. So each key is proved again at least every 17 builds (17 is prime: a run
      that makes two builds reaches every slice too).

    Only the strategies by_loads and by_digest write these tables. They replace all rows of the keys that they write, and
    refuse to write a key twice (refuse_repeated_keys), so every build proves what it writes.

    `dataset`: whose loads the rows' _load_id names; none for tables by digest, whose rows have no load. `slice_by`: a
    whole number that spreads the rows.
-#}
{% macro rows_to_prove(relation, key, dataset, slice_by) -%}
    {%- set last = last_proof() -%}
    select {{ key | join(', ') }}
    from {{ relation }}
    {%- if last %}
    where
        abs({{ slice_by }}) % 17 = {{ last.n_builds % 17 }}
        {%- if dataset %}
        or ({{ key | join(', ') }}) in (
            select {{ key | join(', ') }}
            from {{ relation }}
            where _load_id > {{ last.inputs.get(dataset, 0) }}
        )
        {%- endif %}
    {%- endif %}
{%- endmacro %}


{#- The build in which the running test last passed, as n_builds (how many builds there have been) and inputs (dataset ->
    its last load). None if the whole table is to be proved. -#}
{% macro last_proof() -%}
    {%- set tested = graph.nodes.get(model.attached_node) if execute -%}
    {%- set is_from_scratch = flags.FULL_REFRESH or (tested and tested.name in env_var('NETFLIX_REBUILD_NODES', '').split(',')) -%}
    {%- set results = api.Relation.create(database=target.database, schema='ops', identifier='test_results') -%}
    {%- if not execute or flags.WHICH not in ('build', 'test') or is_from_scratch or load_relation(results) is none -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set found = run_query(_proofs(results, target.database ~ '.ops.builds')).rows[0] -%}
    {{ return({'n_builds': found[0], 'inputs': fromjson(found[2])} if found[2] and found[1] == 0 else none) }}
{%- endmacro %}


{#- The strategies replace all rows of the keys that they select. So unique keys stay unique if the selection has no key
    twice. That is cheap to check, because the selection has the changed keys only. -#}
{% macro refuse_repeated_keys(new_rows, key) -%}
    {%- set repeated -%}
        select count(*) from (
            select {{ key | join(', ') }} from {{ new_rows }} group by {{ key | join(', ') }} having count(*) > 1
        ) as repeated
    {%- endset -%}
    {%- set number = run_query(repeated).rows[0][0] -%}
    {%- if number -%}
        {%- do exceptions.raise_compiler_error(
            number ~ ' keys (' ~ key | join(', ') ~ ') would have more than one row in ' ~ this ~ '; the table is unchanged'
        ) -%}
    {%- endif -%}
{%- endmacro %}


{#- The keys of the running model whose tests look at slices of it. -#}
{% macro keys_proved_in_slices() -%}
    {%- set found = [] -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'test' and node.attached_node == model.unique_id -%}
        {%- set arguments = node.test_metadata.kwargs -%}
        {%- if arguments.get('slice_by') -%}
            {%- do found.append(arguments['columns']) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
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
