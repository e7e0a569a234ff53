with

tags as (

    select * from {{ ref('fct_tags') }}

),

genome_tags as (

    select * from {{ ref('dim_genome_tags') }}

),

typed as (

    select
        tag_key,
        min({{ normalized_tag('tag') }}) as tag,
        count(*) as n_applications,
        count(distinct user_id) as n_users,
        count(distinct movie_id) as n_movies
    from tags
    group by tag_key

),

genome as (

    select
        tag_key,
        min({{ normalized_tag('tag') }}) as tag
    from genome_tags
    group by tag_key

),

final as (

    select
        coalesce(typed.tag_key, genome.tag_key) as tag_key,
        coalesce(typed.tag, genome.tag) as tag,
        coalesce(typed.n_applications, 0) as n_applications,
        coalesce(typed.n_users, 0) as n_users,
        coalesce(typed.n_movies, 0) as n_movies,
        genome.tag_key is not null as is_genome_tag
    from typed
    full outer join genome
        on typed.tag_key = genome.tag_key

)

select * from final
