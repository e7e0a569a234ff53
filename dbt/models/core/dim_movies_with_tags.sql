with

movies as (

    select * from {{ ref('dim_movies') }}

),

tags as (

    select * from {{ ref('fct_tags') }}

),

genome_scores as (

    select * from {{ ref('fct_genome_scores') }}

),

genome_tags as (

    select * from {{ ref('dim_genome_tags') }}

),

movie_tags as (

    select
        movie_id,
        tag_key,
        min({{ normalized_tag('tag') }}) as tag,
        count(*) as n_applications
    from tags
    group by movie_id, tag_key

),

ranked_movie_tags as (

    select
        *,
        row_number() over (
            partition by movie_id
            order by n_applications desc nulls last, tag asc nulls last
        ) as tag_rank
    from movie_tags

),

tags_by_movie as (

    select
        movie_id,
        cast(sum(n_applications) as bigint) as n_tag_applications,
        count(*) as n_tags,
        min(case when tag_rank = 1 then tag end) as top_tag,
        {{ join_text(
            'case when tag_rank <= ' ~ var('n_top_tags') ~ ' then tag end', ', ', 'tag_rank asc nulls last'
        ) }} as top_tags
    from ranked_movie_tags
    group by movie_id

),

ranked_genome as (

    select
        movie_id,
        tag_id,
        relevance,
        row_number() over (
            partition by movie_id
            order by relevance desc nulls last, tag_id asc nulls last
        ) as tag_rank
    from genome_scores
    where relevance >= {{ var('genome_min_relevance') }}
    qualify tag_rank <= {{ var('n_top_tags') }}

),

genome_tags_by_movie as (

    select
        ranked_genome.movie_id,
        min(case when ranked_genome.tag_rank = 1 then genome_tags.tag end) as top_genome_tag,
        max(ranked_genome.relevance) as top_genome_relevance,
        {{ join_text('genome_tags.tag', ', ', 'ranked_genome.tag_rank asc nulls last') }} as top_genome_tags
    from ranked_genome
    left join genome_tags
        on ranked_genome.tag_id = genome_tags.tag_id
    group by ranked_genome.movie_id

),

final as (

    select
        movies.movie_id,
        movies.title,
        movies.release_year,
        coalesce(tags_by_movie.n_tag_applications, 0) as n_tag_applications,
        coalesce(tags_by_movie.n_tags, 0) as n_tags,
        tags_by_movie.top_tag,
        tags_by_movie.top_tags,
        genome_tags_by_movie.top_genome_tag,
        genome_tags_by_movie.top_genome_relevance,
        genome_tags_by_movie.top_genome_tags
    from movies
    left join tags_by_movie
        on movies.movie_id = tags_by_movie.movie_id
    left join genome_tags_by_movie
        on movies.movie_id = genome_tags_by_movie.movie_id

)

select * from final
