{#-
    Tables that are extracted from a database as changes: staging has every version of a row that an extract has seen,
    numbered by extract_number, and a version with is_deleted, and only the key, once the row is gone.
-#}


{#- The rows as the last extract saw them: the latest version of each key, unless it is deleted. A row that was
    read twice, because a transaction was still open, appears as two equal versions. -#}
{% macro latest_versions(staging, key) -%}
    select *
    from {{ staging }}
    qualify
        row_number() over (
            partition by {{ key | join(', ') }}
            order by extract_number desc nulls last, _object_key desc nulls last
        ) = 1
        and not is_deleted
{%- endmacro %}


{#- The history of each key: versions that differ in one of the columns, each valid from valid_from (inclusive) to
    valid_to (exclusive), which is null for the current one. Intervals of a key do not overlap, and there is a gap only
    while the row was deleted.

    A version is valid since the application changed the row (changed_at, a column), or since the extract that saw it,
    if the application has not set that column. The first version is valid since 1970, because nobody knows what was
    before it, and facts are older than the first extract. The clock of a server may be set back: a version never
    begins before the one it replaces, and one that this leaves no time for is left out. -#}
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
                    from {{ staging }}
                    qualify row_number() over (
                        partition by {{ keys }}, extract_number order by _object_key desc nulls last
                    ) = 1
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
