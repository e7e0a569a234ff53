select
    month_number,
    n_ratings,
    n_years,
    seasonal_index,
    least_index,
    greatest_index
from {{ ref('mart_rating_seasonality') }}
order by month_number asc nulls last
