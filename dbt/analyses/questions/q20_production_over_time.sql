select
    release_year,
    production_type,
    n_titles,
    share_of_year,
    yoy_growth,
    is_newest_year
from {{ ref('mart_content_by_year') }}
order by release_year desc nulls last, production_type asc nulls last
limit 10
