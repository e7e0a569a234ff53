-- A relevance is between 0 and 1. Returns the rows that violate this.
select
    movie_id,
    tag_id,
    relevance
from {{ ref('fct_genome_scores') }}
where
    relevance is null
    or relevance < 0
    or relevance > 1
