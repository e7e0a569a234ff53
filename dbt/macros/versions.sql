{#-
    Tables that are extracted from a database as changes: staging has every version of a row that an extract has seen,
    numbered by extract_number. A deleted row has a last version with is_deleted and only its key.
-#}


{#- The rows as the last extract saw them: the latest version of each key, unless it is deleted. A row that was
    read twice, because a transaction was still open, appears as two equal versions.
    `among`: a relation of keys that limits the rows. `among_key`: its columns, if they are not those of `key`. -#}
{% macro latest_versions(staging, key, among=none, among_key=none) -%}
    select *
    from {{ staging }}
    {%- if among %}
    where ({{ (among_key or key) | join(', ') }}) in (select {{ (among_key or key) | join(', ') }} from {{ among }})
    {%- endif %}
    qualify
        row_number() over (
            partition by {{ key | join(', ') }}
            order by
                extract_number desc nulls last, _object_key desc nulls last, {{ values_of(staging, key) }},
                _load_id desc nulls last
        ) = 1
        and not is_deleted
{%- endmacro %}


{#- All values of a row but its key and load, to order by last. A table has a key once, but a file may repeat it: then the
    same row wins in every build, on any number of threads and on both warehouses. -#}
{% macro values_of(staging, key) -%}
    {%- set found = [] -%}
    {%- if execute and graph.nodes is defined -%}  {#- unit tests have no graph -#}
        {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name == staging.identifier -%}
            {%- for column in node.columns if column not in key and column not in ('_load_id', '_object_key') -%}
                {%- do found.append(column ~ ' desc nulls last') -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- if not found -%}
            {%- do exceptions.raise_compiler_error('no columns of ' ~ staging ~ ' are known') -%}
        {%- endif -%}
    {%- endif -%}
    {{ found | join(', ') or 'null' }}
{%- endmacro %}


{#- The history of each key: versions that differ in one of the columns, each valid from valid_from (inclusive) to
    valid_to (exclusive), which is null for the current one. Intervals of a key do not overlap, and there is a gap only
    while the row was deleted.

    A version is valid from when the application changed the row (changed_at, a column), or from the extract that saw
    it, if the application has not set that column. The first version is valid from 1970, because nobody knows what came
    before it, and facts are older than the first extract. The clock of a server may be set back: a version never
    begins before the one it replaces, and a version of no length is left out. -#}
{% macro version_intervals(staging, key, columns, changed_at) -%}
    {%- set keys = key | join(', ') -%}
    {%- set order_by = 'order by extract_number asc nulls last' -%}
    select
        {{ keys }},
        {{ columns | join(', ') }},
        valid_from,
        valid_to
    from (
        select
            *,
            lead(valid_from) over (partition by {{ keys }} {{ order_by }}) as valid_to
        from (
            select
                *,
                max(begins_at) over (
                    partition by {{ keys }} {{ order_by }} rows between unbounded preceding and current row
                ) as valid_from
            from (
                select
                    *,
                    case
                        when previous_number is null then cast('1970-01-01' as timestamp)
                        when is_deleted or was_deleted or {{ changed_at }} = previous_changed_at then extracted_at
                        else {{ changed_at }}
                    end as begins_at
                from (
                    select
                        *,
                        lag(extract_number) over (partition by {{ keys }} {{ order_by }}) as previous_number,
                        lag(is_deleted) over (partition by {{ keys }} {{ order_by }}) as was_deleted,
                        lag({{ changed_at }}) over (partition by {{ keys }} {{ order_by }}) as previous_changed_at
                        {%- for column in columns %},
                        lag({{ column }}) over (partition by {{ keys }} {{ order_by }}) as previous_{{ column }}
                        {%- endfor %}
                    from (
                        -- First, one row per key and extract: lag() would otherwise pick any of several.
                        select *
                        from {{ staging }}
                        qualify row_number() over (
                            partition by {{ keys }}, extract_number
                            order by
                                _object_key desc nulls last, is_deleted desc nulls last,
                                {{ (['extracted_at', changed_at] + columns) | join(' desc nulls last, ') }} desc nulls last
                        ) = 1
                    ) as extracted
                ) as seen
                where
                    previous_number is null
                    or is_deleted != was_deleted
                    {%- for column in columns %}
                    or {{ column }} is distinct from previous_{{ column }}
                    {%- endfor %}
            ) as changed
        ) as begun
    ) as intervals
    where
        not is_deleted
        and (valid_to is null or valid_to > valid_from)
{%- endmacro %}


{#- The Monday of a day's week. A week is its Monday: numbers of weeks collide where a week crosses months or years. -#}
{% macro week_start(day) -%}
    cast({{ add_days(day, '1 - ' ~ iso_day_of_week(day)) }} as date)
{%- endmacro %}


{#- Whether a version, with half-open validity, is the one at this moment. -#}
{% macro is_valid_at(versions, moment) -%}
    {{ moment }} >= {{ versions }}.valid_from
            and ({{ moment }} < {{ versions }}.valid_to or {{ versions }}.valid_to is null)
{%- endmacro %}
