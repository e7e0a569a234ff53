with

ratings as (

    select * from {{ ref('fct_ratings') }}
    where {{ up_to_as_of_date('rated_on') }}

),

liked as (

    select
        user_id,
        movie_id,
        rating,
        rated_at
    from ratings
    where rating >= {{ var('liked_min_rating') }}

),

-- Films are numbered without gaps, so a pair of films packs into one integer and the number of pairs is bounded.
movies as (

    select
        movie_id,
        row_number() over (order by count(*) desc nulls last, movie_id asc nulls last) as movie_number
    from liked
    group by movie_id
    having count(*) >= {{ var('liked_min_likes') }}
    qualify movie_number <= {{ var('liked_max_movies') }}

),

-- MovieLens users rate many films within one second. Ordering those by film ID would keep old films, which have small
-- IDs, and drop new ones. Multiplying by an odd factor modulo 2^32 shuffles without ties, and adding a multiple of the
-- user ID rotates the order, so no film comes first for everyone.
shuffled as (

    select
        liked.user_id,
        liked.movie_id,
        movies.movie_number,
        liked.rating,
        liked.rated_at,
        (cast(liked.movie_id as bigint) * 2654435761 + cast(liked.user_id as bigint) * 40503)
        % 4294967296 as shuffle_key
    from liked
    inner join movies
        on liked.movie_id = movies.movie_id

),

final as (

    select
        user_id,
        movie_id,
        cast(movie_number as integer) as movie_number
    from shuffled
    qualify
        row_number() over (
            partition by user_id
            order by rating desc nulls last, rated_at desc nulls last, shuffle_key asc nulls last
        ) <= {{ var('liked_max_per_user') }}

)

select * from final
