"""The scenario of the business: its two years, markets, products, promotions and warehouses."""

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import IntEnum
from typing import NamedTuple

FIRST_DAY, LAST_DAY = date(2023, 1, 1), date(2024, 12, 31)  # of the history; the days of activity follow
N_DAYS = (LAST_DAY - FIRST_DAY).days + 1
START = datetime(2023, 1, 1, tzinfo=UTC)
END = START + timedelta(days=N_DAYS)

# At scale 1. Merchandise grows with the square root of the scale.
CUSTOMERS, ORDERS, TICKETS, MERCHANDISE = 5_000, 50_000, 2_500, 48
MIN_MERCHANDISE = 24
RATING_USERS = 600  # userIds of the sample ratings: 1 to 600 at their scale 1


class Part(IntEnum):
    """The independent streams of random numbers, for ``Draws``."""

    CUSTOMERS = 0
    PRODUCTS = 1
    ORDERS = 2
    STOCK = 3
    FINANCE = 4
    TICKETS = 5
    DAYS = 6


class Market(NamedTuple):
    """A country, its currency, its share of the customers, and its cities with postal codes."""

    country: str
    name: str
    currency: str
    weight: int
    cities: tuple[tuple[str, str], ...]


MARKETS = (
    Market("US", "United States", "USD", 460, ()),
    Market("GB", "United Kingdom", "GBP", 100, (("London", "N1 9GU"), ("Leeds", "LS1 4DY"), ("Cardiff", "CF10 1EP"))),
    Market("DE", "Germany", "EUR", 90, (("Köln", "50667"), ("Dresden", "01067"), ("München", "80331"))),
    Market("CA", "Canada", "CAD", 80, (("Montréal", "H2Y 1C6"), ("Halifax", "B3H 4R2"), ("Calgary", "T2P 2M5"))),
    Market("FR", "France", "EUR", 60, (("Orléans", "45000"), ("Nîmes", "30000"), ("Ajaccio", "20000"))),
    Market("IN", "India", "INR", 50, (("Pune", "411001"), ("Kochi", "682001"), ("Jaipur", "302001"))),
    Market("ES", "Spain", "EUR", 45, (("A Coruña", "15001"), ("Málaga", "29001"), ("Alcalá de Henares", "28801"))),
    Market("JP", "Japan", "JPY", 45, (("東京", "100-0001"), ("大阪", "530-0001"), ("Sapporo", "060-0042"))),
    Market("BR", "Brazil", "BRL", 40, (("São Paulo", "01310-100"), ("Belém", "66010-000"))),
    Market("AU", "Australia", "AUD", 30, (("Darwin", "0800"), ("Hobart", "7000"), ("Coober Pedy", "5723"))),
)
MARKET_OF = {market.country: market for market in MARKETS}

# About the rate in US dollars of one unit, to set list prices with; orders are converted by rates of their own day.
CENTS_PER_UNIT = {
    "USD": Decimal(100), "EUR": Decimal(108), "GBP": Decimal(126), "CAD": Decimal(74), "INR": Decimal("1.2"),
    "JPY": Decimal("0.7"), "BRL": Decimal(20), "AUD": Decimal(66),
}  # fmt: skip
WHOLE_UNITS = frozenset({"JPY"})  # currencies without a smaller unit

# Every state and the District of Columbia, its weight (population in 100,000s), a city and the start of a postal code.
STATES = (
    ("AL", 51, "Mobile", "366"), ("AK", 7, "Juneau", "998"), ("AZ", 74, "Tucson", "857"), ("AR", 31, "Conway", "720"),
    ("CA", 390, "Fresno", "937"), ("CO", 59, "Boulder", "803"), ("CT", 36, "Derby", "061"), ("DE", 10, "Dover", "199"),
    ("DC", 7, "Washington", "200"), ("FL", 226, "Tampa", "336"), ("GA", 110, "Macon", "312"), ("HI", 14, "Hilo", "967"),
    ("ID", 20, "Boise", "837"), ("IL", 125, "Peoria", "616"), ("IN", 69, "Gary", "464"), ("IA", 32, "Ames", "500"),
    ("KS", 29, "Salina", "674"), ("KY", 45, "Berea", "404"), ("LA", 46, "Monroe", "712"), ("ME", 14, "Bangor", "044"),
    ("MD", 62, "Bowie", "207"), ("MA", 70, "Lowell", "018"), ("MI", 100, "Flint", "485"), ("MN", 57, "Duluth", "558"),
    ("MS", 29, "Tupelo", "388"), ("MO", 62, "Joplin", "648"), ("MT", 11, "Butte", "597"), ("NE", 20, "Omaha", "681"),
    ("NV", 32, "Reno", "895"), ("NH", 14, "Nashua", "030"), ("NJ", 93, "Camden", "081"), ("NM", 21, "Taos", "875"),
    ("NY", 196, "Ithaca", "148"), ("NC", 108, "Durham", "277"), ("ND", 8, "Minot", "587"), ("OH", 118, "Akron", "443"),
    ("OK", 41, "Tulsa", "741"), ("OR", 42, "Bend", "977"), ("PA", 130, "Erie", "165"), ("RI", 11, "Newport", "028"),
    ("SC", 54, "Aiken", "298"), ("SD", 9, "Mitchell", "573"), ("TN", 71, "Memphis", "381"), ("TX", 305, "Waco", "767"),
    ("UT", 34, "Provo", "846"), ("VT", 6, "Stowe", "056"), ("VA", 87, "Salem", "241"), ("WA", 78, "Yakima", "989"),
    ("WV", 18, "Elkins", "262"), ("WI", 59, "Racine", "534"), ("WY", 6, "Cody", "824"),
)  # fmt: skip


class Offer(NamedTuple):
    """A product that is not merchandise: its list price and cost in US dollars when the history begins."""

    sku: str
    product_type: str
    name: str
    price: str
    cost: str
    weight: int


PRODUCT_TYPES = (
    ("plan", "Plan", False), ("add_on", "Add-on", False), ("gift_card", "Gift card", False),
    ("merchandise", "Merchandise", True),
)  # fmt: skip
OFFERS = (
    Offer("PLAN-ADS", "plan", "Standard with adverts", "6.99", "4.10", 24),
    Offer("PLAN-STD", "plan", "Standard", "15.49", "9.05", 34),
    Offer("PLAN-PRE", "plan", "Premium", "19.99", "10.95", 16),
    Offer("PLAN-STD-Y", "plan", "Standard, one year", "154.99", "101.00", 4),
    Offer("ADD-MEMBER", "add_on", "Extra member", "7.99", "3.20", 12),
    Offer("ADD-4K", "add_on", "4K upgrade", "3.99", "1.15", 10),
    Offer("ADD-SPORT", "add_on", "Live sports", "9.99", "8.90", 7),
    Offer("ADD-KIDS", "add_on", 'Children\'s profile, with "night mode"', "1.99", "0.35", 5),
    Offer("GIFT-25", "gift_card", "Gift card 25", "25.00", "24.10", 6),
    Offer("GIFT-50", "gift_card", "Gift card 50", "50.00", "48.30", 4),
    Offer("GIFT-100", "gift_card", "Gift card 100", "100.00", "96.70", 2),
)
# Merchandise: name, list price, cost, weight in kg.
WARES = (
    ("T-shirt", "24.00", "7.10", 0.2), ("Mug", "14.50", "4.35", 0.4), ("Poster", "18.00", "3.20", 0.3),
    ("Soundtrack on vinyl", "34.00", "14.60", 0.5), ("Figurine", "49.00", "21.75", 0.8), ("Cap", "22.00", "6.05", 0.1),
    ("Notebook, \"ruled\"", "9.50", "2.15", 0.25), ("Plüschtier", "29.00", "9.90", 0.35),
)  # fmt: skip
COLOURS = ("black", "white", "navy", "grün", "red")


class Depot(NamedTuple):
    """A warehouse, and the countries that it delivers to."""

    code: str
    name: str
    country: str
    time_zone: str
    opened_on: date
    serves: tuple[str, ...]


DEPOTS = (
    Depot("RNO", "Reno", "US", "America/Los_Angeles", date(2019, 3, 4), ("US-W",)),
    Depot("CMH", "Columbus", "US", "America/New_York", date(2020, 7, 20), ("US-E", "CA", "BR")),
    Depot("RTM", "Rotterdam", "NL", "Europe/Amsterdam", date(2021, 1, 11), ("GB", "DE", "FR", "ES")),
    Depot("OSA", "大阪 (Ōsaka)", "JP", "Asia/Tokyo", date(2022, 5, 9), ("JP", "IN", "AU")),
)
WESTERN = frozenset(("AK", "AZ", "CA", "CO", "HI", "ID", "MT", "NM", "NV", "OR", "UT", "WA", "WY"))
CARRIERS = ("UPS", "DHL", "La Poste", "ヤマト運輸")


class Sale(NamedTuple):
    """A promotion: code, name, percent off, which type of product (None: all), which countries (empty: all), when."""

    code: str
    name: str
    percent: str
    product_type: str | None
    countries: tuple[str, ...]
    month: int
    day: int
    days: int


SALES = (  # each year
    Sale("NEWYEAR", "New Year's resolutions", "20.00", "plan", (), 12, 29, 14),  # crosses the year
    Sale("VALENTINE", "For two", "15.00", "gift_card", (), 2, 7, 8),
    Sale("SPRING", "Spring cleaning", "12.50", "merchandise", ("US", "CA"), 3, 25, 14),  # weeks that cross months
    Sale("ÉTÉ", "L'été en séries", "30.00", None, ("FR",), 7, 1, 31),
    Sale("BACK2SCHOOL", "Back to school", "25.00", "add_on", (), 8, 26, 12),
    Sale("BLACKFRIDAY", "Black Friday; all of it", "40.00", "merchandise", (), 11, 22, 10),
)

FIRST_NAMES = (
    "Ada", "Alma", "Amir", "Anouk", "Björk", "Bruno", "Chidi", "Chloë", "Dario", "Elif", "Élodie", "Emre", "Farah",
    "Günter", "Håkon", "Hana", "Inês", "Ivo", "Jean-Luc", "José", "Kai", "Łucja", "Mae", "Malik", "Mary-Ann", "Noor",
    "Olga", "Priya", "Ravi", "Renée", "Sana", "Søren", "Tara", "Theo", "Uma", "Vera", "Wanda", "Yuto", "Zoë", "结衣",
)  # fmt: skip
LAST_NAMES = (
    "Abara", "O'Brien", "D'Angelo", "García", "Grünwald", "Ito", "Jansen", "Kowalska", "de la Cruz", "Lindström",
    "MacNeil", "Müller", "Nguyễn", "Okafor", "Patel", "Quispe", "Rossi", "Sato", "Smith", "St. John", "Tremblay",
    "van der Berg", "Weiß", "Çelik", "Zhang", "Łukasik", "佐藤", "Ferreira, Jr.", "Öztürk", "Ahlgren",
)  # fmt: skip
INTERESTS = ("drama", "comedy", "thriller", "documentary", "kids' shows", "sci-fi, fantasy", "horror", "anime")
SUBJECTS = (
    "Charged twice", "Parcel has not arrived", "Wrong size", "Cannot sign in", "Subtitles are missing",
    "Refund, please", "Gift card does not work", "Änderung der Adresse",
)  # fmt: skip
SENTENCES = (
    "I was charged twice for one order.", 'The app says "try again later", and it has said so for days.',
    "Mein Paket ist seit zwei Wochen überfällig.", "It's the third time that I write to you;\nplease answer.",
    "La taille ne convient pas.\r\nMerci d'avance!", "The mug arrived in pieces\tand the box was open.",
    "C:\\Users\\me shows error 50% of the time", "字幕が表示されません。", "Thanks, that was quick 🙂",
)  # fmt: skip
REASONS = ("changed my mind", 'arrived "used"', "defekt", "too small,\ntoo late", "L'article n'est pas conforme")


def money(amount: Decimal, currency: str) -> Decimal:
    """An amount in whole units of a currency's smallest coin, rounded half up as shops do."""
    step = Decimal(1) if currency in WHOLE_UNITS else Decimal("0.01")
    return amount.quantize(step, ROUND_HALF_UP).quantize(Decimal("0.01"))
