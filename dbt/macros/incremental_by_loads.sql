{#-
    Incremental by loads: the one recipe of the models that keep, out of a log of loads, one winning row per key
    (fct_ratings, fct_genome_scores) or all versions of a key (fct_rating_versions). Raw rows carry `_load_id`; the ledger
    says which loads are current.

    1. affected_keys: keys of rows in current loads above the watermark, and keys of rows in the table whose load is no longer
       current (superseded by a corrected file, or removed with its file).
    2. latest_per_key, versions_per_key: ALL current rows of those keys are read again and the winner, or the winner of each
       time, is taken. It is decided by what the rows say, never by arrival.
    3. The model selects the new row of everything that it finds or that stood in the table under an affected key; what has
       no row left gets one whose `_load_id` is null. The strategy `by_loads` takes away what the model selects and inserts
       the rows that have a load, all or nothing. A row is told by the model's unique_key: for versions that is the key and
       the time, so that a MERGE, which must not meet a row twice, can say it too (replace_rows).

    The watermark is max(_load_id) of the table itself. There is no state beside it that could be lost or go wrong, and it is
    enough, because
    - load ids follow the order of commits: a build that saw load n has seen every load below n;
    - a load above the watermark is either new or has lost every row that it has. Applying it once more changes nothing;
    - a load that is superseded or removed matters only where it had won, and those rows are in the table under its id. A
      loser's disappearance changes no winner, nor does it change a version: it has lost to a row of the same time;
    - the watermark may fall (the newest load is removed): loads above it are then applied again, to the same result.
    So any order of arrival, with duplicates, corrections, removals and replays, gives what a full refresh gives.

    Cost: two scans of load ids and one hash join of the new keys with the raw keys; about two seconds (two cores) for 250
    thousand new rows in 25 million, where the full refresh takes nine.
-#}

{% macro affected_keys(staging, ledger, dataset, key) -%}
    select
        {{ key | join(',\n        ') }}
    from {{ staging }}
    where _load_id > (select coalesce(max(applied._load_id), 0) from {{ this }} as applied)

    union

    select
        {{ key | join(',\n        ') }}
    from {{ this }}
    where _load_id not in (select load_id from {{ ledger }} where dataset = '{{ dataset }}' and is_current)
{%- endmacro %}


{#- One row per key of `staging`: the first by `order_by`. With `among`, a relation of keys, only of those. A name in order_by
    is a column of staging, or `_object_key`: then the rank of the key in the ledger is compared, since carrying 25 million
    texts through the sort would double its time and memory.
    Rows that agree in all that order_by names are alike, but for the load that brought them; the last one is named. -#}
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


{#- All versions of each key of `staging`: one row per key and value of order_by's first column, the time. Rows compete, as in
    latest_per_key, where they name the same time; the last version of a key is therefore the row that latest_per_key takes.
    `valid_to` is the time of the next version, null for the last; `version_number` counts from 1.
    Both come out of one sort: in the order of all rows of a key, the last row of each time is followed by a row of another
    time, which is the next version's. Taking the winners first and looking ahead then would sort twice. -#}
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


{#- The current rows of `staging` with the rank of their object's key. -#}
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
    inner join {{ among }} as wanted
        on
            {% for column in key -%}
            {{ 'and ' if not loop.first }}candidates.{{ column }} = wanted.{{ column }}
            {% endfor %}
    {%- endif %}
{%- endmacro %}


{% macro _in_order(order_by, direction) -%}
    {%- for column in order_by -%}
    {{ 'loads.object_rank' if column == '_object_key' else 'candidates.' ~ column }} {{ direction }},
                {% endfor -%}
    candidates._load_id {{ direction }}
{%- endmacro %}


{#- dbt looks the strategy up by this name: incremental_strategy = 'by_loads'. -#}
{% macro get_incremental_by_loads_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')).split(', ') -%}
    {{ replace_rows(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['unique_key'], columns) }}
{%- endmacro %}
