{#-
    Parts of a k-means step, for rows with the columns genre_1, genre_2, ... up to var segment_max_genres.
    int_users__clusters combines them.
-#}

{#- Squared distance between two rows. Whole numbers give a whole number. -#}
{% macro squared_distance(one, other) -%}
    {%- for number in range(1, (var('segment_max_genres') | int) + 1) -%}
    {{ '+ ' if not loop.first }}({{ one }}.genre_{{ number }} - {{ other }}.genre_{{ number }})
        * ({{ one }}.genre_{{ number }} - {{ other }}.genre_{{ number }})
        {{- '\n        ' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{#- Columns of a centre: means rounded to whole numbers. -#}
{% macro centre_of(rows) -%}
    {%- for number in range(1, (var('segment_max_genres') | int) + 1) -%}
    cast(floor(cast(sum({{ rows }}.genre_{{ number }}) as double) / count(*) + 0.5) as bigint) as genre_{{ number }}
        {{- ',\n        ' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{#- A query with the nearest centre of each row. Distance and cluster_id (below 1,000) are packed into one number. Its
    minimum is the nearest centre, and the lower cluster_id in a tie. -#}
{% macro nearest_centre(rows, centres) -%}
    select
        points.user_id,
        min((
            {{ squared_distance('points', 'centres') -}}
        ) * 1000 + centres.cluster_id) as packed
    from {{ rows }} as points
    cross join {{ centres }} as centres
    group by points.user_id
{%- endmacro %}
