{#-
    Incremental by digest: the shared method of aggregates that have rows for each user. Every row has a `_digest`, a
    number made from all the rows that its user's rows are computed from.

    1. changed_keys compares the digests of today's rows with those in the table: it selects the keys whose digests
       differ, the new keys, and, with a null digest, the keys that no longer have rows.
    2. The model computes the rows of these keys, and a row with a null `_digest` for a key that is left with none. The
       strategy `by_digest` deletes all rows of the selected keys and inserts the selected rows that have a digest. Rows
       match by the model's unique_key.

    No state is kept, so none can get lost: the comparison is with the rows that are there. It does not matter which
    loads came or went, in which order, whether they were purged, replayed or removed, and whether a build was partial or
    was killed. Incremental by loads (incremental_by_loads.sql) serves the facts, whose rows have a load. An aggregate
    cannot use it: when its user's only row was removed, no row of any fact says so.

    The digest of a rating is the hash of its film and its load. A load never changes, so user, film and load determine
    the rest of the row. Two digests of 63 bits that are equal by chance would keep the old rows of one user: one in
    10^13 for a million users that change. A model that also reads other tables adds their digest to its own.

    Cost: one scan of the ratings and a semi-join of the changed users. On 25 million ratings the digests take 0.4 s,
    and the aggregate by user and genre takes 10 s.
-#}

{#- `digests`: a relation with the columns of `key` and `_digest`, one row per key. All keys in a build from
    scratch. -#}
{% macro changed_keys(digests, key) -%}
    {%- if not is_incremental() -%}
    select * from {{ digests }}
    {%- else -%}
    select
        {% for column in key -%}
        coalesce(digests.{{ column }}, earlier.{{ column }}) as {{ column }},
        {% endfor -%}
        digests._digest
    from {{ digests }} as digests
    full outer join (
        select distinct
            {% for column in key -%}
            {{ column }},
            {% endfor -%}
            _digest
        from {{ this }}
    ) as earlier
        on
            {% for column in key -%}
            {{ 'and ' if not loop.first }}digests.{{ column }} = earlier.{{ column }}
            {% endfor -%}
    where digests._digest is distinct from earlier._digest
    {%- endif -%}
{%- endmacro %}


{#- The rows whose `key` has changed; all rows, without a join, if the table is built from scratch. -#}
{% macro rows_of_changed(rows, changed, key) -%}
    select {{ rows }}.*
    from {{ rows }}
    {%- if is_incremental() %}
    inner join {{ changed }}
        on
            {% for column in key -%}
            {{ 'and ' if not loop.first }}{{ rows }}.{{ column }} = {{ changed }}.{{ column }}
            {% endfor -%}
    {%- endif %}
{%- endmacro %}


{#-
    For a table that is built as a whole or not at all. `today` is a relation of one row: the digest of everything that
    the table is built from. This selects that row, or no row if the table in place was built from the same. Cross join
    the inputs with it: a table that is up to date then costs next to nothing, and the same query rebuilds any other.
    A table with a row of a user who is not in the relation `users` is not up to date.
-#}
{% macro if_made_from_other_rows(today, users=none) -%}
    select today.*
    from {{ today }} as today
    {%- if is_incremental() %}
    cross join (select max(_digest) as _digest from {{ this }}) as earlier
    {%- if users %}
    cross join (
        select count(*) as n_gone
        from {{ this }} as listed
        left join {{ users }} as users
            on listed.user_id = users.user_id
        where users.user_id is null
    ) as gone
    {%- endif %}
    where
        today._digest is distinct from earlier._digest
        {{ 'or gone.n_gone > 0' if users }}
    {%- endif %}
{%- endmacro %}


{#- The keys of the new rows and, if a row is `due`, of all rows in the table, for the strategy to delete. -#}
{% macro keys_to_replace(new_rows, key, due) -%}
    select {{ key | join(', ') }}
    from {{ new_rows }}
    {%- if is_incremental() %}
    union
    select {% for column in key %}earlier.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
    from {{ this }} as earlier
    cross join {{ due }}
    {%- else %}
    group by {{ key | join(', ') }}
    {%- endif %}
{%- endmacro %}


{#- dbt finds the strategy by this macro name: incremental_strategy = 'by_digest'. On Snowflake each statement commits by
    itself. Rows that were deleted and not inserted are missing, so their keys have changed at the next build. -#}
{% macro get_incremental_by_digest_sql(arg_dict) -%}
    {%- for key in keys_proved_in_slices() -%}
        {%- do refuse_repeated_keys(arg_dict['temp_relation'], key) -%}
    {%- endfor -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    {%- set key = arg_dict['unique_key'] -%}
    delete from {{ arg_dict['target_relation'] }}
    where ({{ key | join(', ') }}) in (select {{ key | join(', ') }} from {{ arg_dict['temp_relation'] }})
    ;
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict['temp_relation'] }}
    where _digest is not null
    ;
{%- endmacro %}
