{#-
    All SQL that differs between DuckDB and Snowflake, and nothing else. default__ is for DuckDB, in ANSI SQL if
    possible; snowflake__ follows it. Models call these macros and contain no warehouse-specific SQL.
-#}


{#- Converts seconds since 1970-01-01 UTC to a timestamp without time zone, in UTC. -#}
{% macro epoch_to_timestamp(seconds) -%}
    {{ return(adapter.dispatch('epoch_to_timestamp', 'netflix_assets')(seconds)) }}
{%- endmacro %}

{% macro default__epoch_to_timestamp(seconds) -%}
    make_timestamp({{ seconds }} * 1000000)
{%- endmacro %}

{% macro snowflake__epoch_to_timestamp(seconds) -%}
    to_timestamp_ntz({{ seconds }}, 0)
{%- endmacro %}


{#- The current time as a timestamp without time zone, in UTC. Only for freshness: no model may depend on the clock. -#}
{% macro utc_now() -%}
    {{ return(adapter.dispatch('utc_now', 'netflix_assets')()) }}
{%- endmacro %}

{% macro default__utc_now() -%}
    cast(current_timestamp at time zone 'UTC' as timestamp)
{%- endmacro %}

{% macro snowflake__utc_now() -%}
    cast(convert_timezone('UTC', current_timestamp()) as timestamp_ntz)
{%- endmacro %}


{#- The first group of a regular expression, or null if it does not match. Write patterns without backslashes ([(], not
    \(), because Snowflake interprets backslashes in string literals. -#}
{% macro regexp_group(text, pattern) -%}
    {{ return(adapter.dispatch('regexp_group', 'netflix_assets')(text, pattern)) }}
{%- endmacro %}

{% macro default__regexp_group(text, pattern) -%}
    nullif(regexp_extract({{ text }}, '{{ pattern }}', 1), '')
{%- endmacro %}

{% macro snowflake__regexp_group(text, pattern) -%}
    regexp_substr({{ text }}, '{{ pattern }}', 1, 1, 'e', 1)
{%- endmacro %}


{#- The date a number of days later. -#}
{% macro add_days(day, days) -%}
    {{ return(adapter.dispatch('add_days', 'netflix_assets')(day, days)) }}
{%- endmacro %}

{% macro default__add_days(day, days) -%}
    {{ day }} + cast({{ days }} as integer)
{%- endmacro %}

{% macro snowflake__add_days(day, days) -%}
    dateadd('day', {{ days }}, {{ day }})
{%- endmacro %}


{#- The moment a number of hours after the beginning of a day in UTC, as a timestamp. -#}
{% macro hours_into(day, hours) -%}
    {{ return(adapter.dispatch('hours_into', 'netflix_assets')(day, hours)) }}
{%- endmacro %}

{% macro default__hours_into(day, hours) -%}
    cast({{ day }} as timestamp) + to_hours({{ hours }})
{%- endmacro %}

{% macro snowflake__hours_into(day, hours) -%}
    dateadd('hour', {{ hours }}, cast({{ day }} as timestamp_ntz))
{%- endmacro %}


{#- Text without leading and trailing blanks: spaces and the other Unicode space characters (a tag pasted from a web
    page may end in a no-break space), but not tabs or line breaks. Snowflake's trim removes only plain spaces. -#}
{% macro trimmed(text) -%}
    {{ return(adapter.dispatch('trimmed', 'netflix_assets')(text)) }}
{%- endmacro %}

{% macro default__trimmed(text) -%}
    trim({{ text }})
{%- endmacro %}

{% macro snowflake__trimmed(text) -%}
    {%- set blanks = ' \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000' -%}
    trim({{ text }}, '{{ blanks }}')
{%- endmacro %}


{#- Text split at every separator, as a list. -#}
{% macro split_to_list(text, separator) -%}
    {{ return(adapter.dispatch('split_to_list', 'netflix_assets')(text, separator)) }}
{%- endmacro %}

{% macro default__split_to_list(text, separator) -%}
    string_split({{ text }}, '{{ separator }}')
{%- endmacro %}

{% macro snowflake__split_to_list(text, separator) -%}
    split({{ text }}, '{{ separator }}')
{%- endmacro %}


{#- A query with one row per list element. Rows with an empty or null list are dropped. -#}
{% macro select_exploded(relation, columns, list_column, element) -%}
    {{ return(adapter.dispatch('select_exploded', 'netflix_assets')(relation, columns, list_column, element)) }}
{%- endmacro %}

{% macro default__select_exploded(relation, columns, list_column, element) -%}
    select
        {{ columns | join(', ') }},
        unnest({{ list_column }}) as {{ element }}
    from {{ relation }}
{%- endmacro %}

{% macro snowflake__select_exploded(relation, columns, list_column, element) -%}
    select
        {{ columns | join(', ') }},
        cast(flattened.value as varchar) as {{ element }}
    from {{ relation }},
        lateral flatten(input => {{ list_column }}) as flattened
{%- endmacro %}


{#- Aggregate: texts joined in the given order. -#}
{% macro join_text(text, separator, order_by) -%}
    {{ return(adapter.dispatch('join_text', 'netflix_assets')(text, separator, order_by)) }}
{%- endmacro %}

{% macro default__join_text(text, separator, order_by) -%}
    string_agg({{ text }}, '{{ separator }}' order by {{ order_by }})
{%- endmacro %}

{% macro snowflake__join_text(text, separator, order_by) -%}
    nullif(listagg({{ text }}, '{{ separator }}') within group (order by {{ order_by }}), '')
{%- endmacro %}


{#- Day of the week, from 1 (Monday) to 7 (Sunday). -#}
{% macro iso_day_of_week(day) -%}
    {{ return(adapter.dispatch('iso_day_of_week', 'netflix_assets')(day)) }}
{%- endmacro %}

{% macro default__iso_day_of_week(day) -%}
    cast(extract(isodow from {{ day }}) as integer)
{%- endmacro %}

{% macro snowflake__iso_day_of_week(day) -%}
    dayofweekiso({{ day }})
{%- endmacro %}


{#- Replaces rows of the target with the rows of `new_rows` that have the same key, all or nothing. A new row with a
    null _load_id only deletes the old one. dbt-duckdb wraps every model in a transaction. On Snowflake each statement
    commits by itself, and dbt-snowflake does not roll back a transaction it opened: after a failed insert, the next
    node's DDL would commit the delete. Snowflake therefore uses a single statement. -#}
{% macro replace_rows(target_relation, new_rows, key, columns) -%}
    {{ return(adapter.dispatch('replace_rows', 'netflix_assets')(target_relation, new_rows, key, columns)) }}
{%- endmacro %}

{% macro default__replace_rows(target_relation, new_rows, key, columns) -%}
    delete from {{ target_relation }} as old_rows
    using {{ new_rows }} as new_rows
    where
        {% for column in key -%}
        {{ 'and ' if not loop.first }}old_rows.{{ column }} = new_rows.{{ column }}
        {% endfor -%}
    ;
    insert into {{ target_relation }} ({{ columns | join(', ') }})
    select {{ columns | join(', ') }}
    from {{ new_rows }}
    where _load_id is not null
    ;
{%- endmacro %}

{% macro snowflake__replace_rows(target_relation, new_rows, key, columns) -%}
    merge into {{ target_relation }} as old_rows
    using {{ new_rows }} as new_rows
        on
            {% for column in key -%}
            {{ 'and ' if not loop.first }}old_rows.{{ column }} = new_rows.{{ column }}
            {% endfor %}
    when matched and new_rows._load_id is null then delete
    when matched then update set
        {%- for column in columns %}
        {{ column }} = new_rows.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    when not matched and new_rows._load_id is not null then
        insert ({{ columns | join(', ') }})
        values (
            {%- for column in columns %}
            new_rows.{{ column }}{{ ',' if not loop.last }}
            {%- endfor %}
        )
{%- endmacro %}


{#- Aggregate: a whole number that depends on the rows and not on their order. Equal rows cancel out, so columns must
    include a key. DuckDB combines the hashes of several columns linearly: without the second hash, two rows that swap
    values would have the same digest. -#}
{% macro row_digest(columns) -%}
    {{ return(adapter.dispatch('row_digest', 'netflix_assets')(columns)) }}
{%- endmacro %}

{% macro default__row_digest(columns) -%}
    cast(bit_xor(hash(hash({{ columns | join(', ') }})) >> 1) as bigint)
{%- endmacro %}

{% macro snowflake__row_digest(columns) -%}
    bitxor_agg(hash(hash({{ columns | join(', ') }})))
{%- endmacro %}


{#- One digest of several, which may be null. -#}
{% macro joint_digest(digests) -%}
    {{ return(adapter.dispatch('joint_digest', 'netflix_assets')(digests)) }}
{%- endmacro %}

{% macro default__joint_digest(digests) -%}
    cast(hash({{ digests | join(', ') }}) >> 1 as bigint)
{%- endmacro %}

{% macro snowflake__joint_digest(digests) -%}
    hash({{ digests | join(', ') }})
{%- endmacro %}
