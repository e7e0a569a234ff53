{#-
    Incremental by loads: the shared method of models that derive, from a log of loads, one winning row per key
    (fct_ratings, fct_genome_scores) or all versions of a key (fct_rating_versions). Raw rows carry `_load_id`; the
    ledger says which loads are current.

    1. affected_keys selects the keys in current loads above the watermark, and the keys of table rows whose load is no
       longer current (superseded by a corrected file, or removed with its file).
    2. latest_per_key and versions_per_key re-read ALL current rows of those keys and pick the winner, or the winner at
       each time. The winner depends on what the rows say, not on when they arrived.
    3. The model selects the new row for everything found, or already in the table, under an affected key. If no row
       remains, it selects a row with a null `_load_id`. The strategy `by_loads` deletes the table's rows that match the
       selection and inserts the selected rows that have a load, all or nothing. Rows match by the model's unique_key.
       For versions that is the key and the time, because a MERGE must not match a row twice (replace_rows).

    The watermark is max(_load_id) of the table itself. No other state can get lost or out of sync, and it is
    sufficient:
    - Load IDs follow the order of commits. A build that saw load n has seen every load below n.
    - A load above the watermark is new, or all its rows have lost. Applying it again changes nothing.
    - A superseded or removed load matters only where it had won, and the table has those rows under its ID. Losing
      rows can disappear without changing a winner or a version: they lost to a row of the same time.
    - The watermark can fall if the newest load is removed. Loads above it are then applied again, with the same result.
    Any order of arrival, with duplicates, corrections, removals and replays, therefore gives the result of a full
    refresh.

    Tables that are extracted as changes (versions.sql) have deletions, and rows whose parent is missing are left out. The
    winner of such a key is not in the table, so if its load is removed, no row of the table shows it.
    keys_without_row therefore selects every key without a row in the table. Each build reads deleted keys again and
    writes nothing for them.

    A table may join several datasets. It has a load column for each large one (affected_keys, `load_id`). Values from
    small ones, such as costs, are compared directly (fct_order_lines): a row is affected if the value valid now differs
    from the one it has, whichever load it came from.

    Cost: two scans of load IDs and one hash join of the new keys with the raw keys. Applying 250 thousand new rows to
    25 million takes about two seconds on two cores; a full refresh takes nine.
-#}

{#- `load_id`: the table's column with loads of this dataset. -#}
{% macro affected_keys(staging, ledger, dataset, key, load_id='_load_id') -%}
    select
        {{ key | join(',\n        ') }}
    from {{ staging }}
    where _load_id > (select coalesce(max(applied.{{ load_id }}), 0) from {{ this }} as applied)

    union

    select
        {{ key | join(',\n        ') }}
    from {{ this }}
    where {{ load_id }} not in (select load_id from {{ ledger }} where dataset = '{{ dataset }}' and is_current)
{%- endmacro %}


{#- The keys of `staging` without a row in the table: deleted, or deleted by a load that was removed.
    `row_key`: what identifies a row, if `key` does not. -#}
{% macro keys_without_row(staging, key, row_key=none) -%}
    select distinct
        {% for column in key -%}
        candidates.{{ column }}{{ ',' if not loop.last }}
        {% endfor -%}
    from {{ staging }} as candidates
    left join {{ this }} as existing_rows
        on
            {% for column in row_key or key -%}
            {{ 'and ' if not loop.first }}candidates.{{ column }} = existing_rows.{{ column }}
            {% endfor -%}
    where existing_rows._load_id is null
{%- endmacro %}


{#- The new rows, and for each row of the table under an affected key that has no new row, one with a null `_load_id`,
    which tells the strategy to delete it. Without the deletions, if the table is built from scratch.
    `affected`: a relation of keys. `affected_key`: its columns, if they are not those of `key`. -#}
{% macro with_removed(rows, key, affected, affected_key=none) -%}
    {%- if not is_incremental() -%}
    select * from {{ rows }}
    {%- else -%}
    select *
    from (
        select {{ key | join(', ') }}
        from {{ rows }}
        union
        select
            {% for column in key -%}
            present.{{ column }}{{ ',' if not loop.last }}
            {% endfor -%}
        from {{ this }} as present
        inner join {{ affected }}
            on
                {% for column in affected_key or key -%}
                {{ 'and ' if not loop.first }}present.{{ column }} = {{ affected }}.{{ column }}
                {% endfor %}
    ) as written_keys
    left join {{ rows }}
        using ({{ key | join(', ') }})
    {%- endif %}
{%- endmacro %}


{#- One row per key of `staging`: the one with the highest values in `order_by`. `among`, a relation of keys, limits the
    keys. order_by lists columns of staging or `_object_key`, which compares the rank of the object key in the ledger:
    sorting 25 million texts would double time and memory.
    Rows with equal values in order_by differ only in their load. The last load is kept. -#}
{% macro latest_per_key(staging, ledger, dataset, key, order_by, among=none) -%}
    select candidates.*
    {{ _candidates(staging, ledger, dataset, key, among) }}
    qualify
        row_number() over (
            partition by {% for column in key %}candidates.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
            order by
                {{ _in_order(order_by, 'desc nulls last') }}
        ) = 1
{%- endmacro %}


{#- All versions of each key of `staging`: one row per key and time, the first column of order_by. Rows with the same
    time compete as in latest_per_key, so the last version of a key is the row that latest_per_key picks. `valid_to` is
    the time of the next version, null for the last one. `version_number` counts from 1.
    One sort yields both: when all rows of a key are sorted, the winner of each time is directly followed by a row of
    the next version. Picking the winners before looking ahead would sort twice. -#}
{% macro versions_per_key(staging, ledger, dataset, key, order_by, among=none) -%}
    {%- set partition %}{% for column in key %}candidates.{{ column }}{{ ', ' if not loop.last }}{% endfor %}{% endset -%}
    {%- set next_time -%}
    lead(candidates.{{ order_by[0] }}) over (
            partition by {{ partition }}
            order by
                {{ _in_order(order_by, 'asc nulls first') }}
        )
    {%- endset -%}
    select
        candidates.*,
        {{ next_time }} as valid_to,
        dense_rank() over (
            partition by {{ partition }}
            order by candidates.{{ order_by[0] }} asc nulls first
        ) as version_number
    {{ _candidates(staging, ledger, dataset, key, among) }}
    qualify
        {{ next_time }} is distinct from candidates.{{ order_by[0] }}
{%- endmacro %}


{#- The current rows of `staging`, with the rank of their object key. -#}
{% macro _candidates(staging, ledger, dataset, key, among) -%}
    from {{ staging }} as candidates
    inner join (
        select
            load_id,
            dense_rank() over (order by object_key asc nulls first) as object_rank
        from {{ ledger }}
        where
            dataset = '{{ dataset }}'
            and is_current
    ) as loads
        on candidates._load_id = loads.load_id
    {%- if among %}
    inner join {{ among }} as selected_keys
        on
            {% for column in key -%}
            {{ 'and ' if not loop.first }}candidates.{{ column }} = selected_keys.{{ column }}
            {% endfor %}
    {%- endif %}
{%- endmacro %}


{% macro _in_order(order_by, direction) -%}
    {%- for column in order_by -%}
    {{ 'loads.object_rank' if column == '_object_key' else 'candidates.' ~ column }} {{ direction }},
                {% endfor -%}
    candidates._load_id {{ direction }}
{%- endmacro %}


{#- dbt finds the strategy by this macro name: incremental_strategy = 'by_loads'. -#}
{% macro get_incremental_by_loads_sql(arg_dict) -%}
    {%- do refuse_repeated_keys(arg_dict['temp_relation'], arg_dict['unique_key']) -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')).split(', ') -%}
    {{ replace_rows(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['unique_key'], columns) }}
{%- endmacro %}
