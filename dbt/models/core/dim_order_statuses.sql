with

final as (

    select
        statuses.order_status,
        cast(statuses.status_number as integer) as status_number,
        statuses.outcome
    from (
        values
        ('cart', 1, 'cart'),
        ('placed', 2, 'kept'),
        ('paid', 3, 'kept'),
        ('shipped', 4, 'kept'),
        ('completed', 5, 'kept'),
        ('cancelled', 6, 'cancelled'),
        ('refunded', 7, 'refunded')
    ) as statuses (order_status, status_number, outcome)

)

select * from final
