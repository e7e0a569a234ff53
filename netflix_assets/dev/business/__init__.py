"""The operational databases of a streaming company: crm, shop and finance. All of it is invented.

``make_world`` makes two years of history. ``make_day`` then makes the transactions of one day after another: orders and
what becomes of them, moves, price changes, corrections, deletions, transactions that commit late or not at all. The
same seed and scale give the same rows and transactions on every machine.

The data has these traps on purpose: orders at the very instant at which a cost changes, identical lines in one order,
weeks that cross months and years, currencies without cents, cancelled lines in completed orders, orders by list prices
of another time, postal codes with leading zeros, a table that does not always set ``updated_at``, and card numbers.
"""

from netflix_assets.dev.business import crm, finance, orders, products, stock
from netflix_assets.dev.business.draws import Draws
from netflix_assets.dev.business.scenario import CUSTOMERS, ORDERS, TICKETS, Part
from netflix_assets.dev.business.world import World
from netflix_assets.dev.samples.common import check_size


def make_world(scale: float = 1.0, seed: int = 1) -> World:
    """The rows at the end of the history.

    Scale 1 is 50,000 orders with 120,000 lines, and 5,000 customers; 600 of them have userIds of the sample ratings.

    Raises:
        ValueError: The scale is outside ``SCALES`` or the seed is negative.
    """
    check_size(scale, seed)
    world = World()
    crm.add_countries(world)
    crm.add_customers(world, Draws(seed, Part.CUSTOMERS), round(CUSTOMERS * scale))
    products.add_products(world, Draws(seed, Part.PRODUCTS), scale)
    products.add_promotions(world)
    products.add_warehouses(world)
    orders.add_orders(world, Draws(seed, Part.ORDERS), round(ORDERS * scale))
    stock.add_stock(world, Draws(seed, Part.STOCK))
    finance.add_cards(world, Draws(seed, Part.FINANCE))
    finance.add_payments(world, Draws(seed, Part.FINANCE, 1))
    crm.add_tickets(world, Draws(seed, Part.TICKETS), round(TICKETS * scale))
    return world
