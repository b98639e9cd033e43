"""What the demo shop sells, and where it lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

# (code, name, priority, is the default); orders draw on the lower priority first.
LOCATIONS = (
    ("main", "Main warehouse", 100, True),
    ("harbour", "Harbour depot", 200, False),
)


@dataclass(frozen=True, kw_only=True)
class Article:
    """One product. `popularity` weighs how often it is ordered.

    `left_over` is what is available of it in the end; None leaves that to the dice.
    """

    sku: str
    name: str
    category: str
    price: Decimal
    description: str
    popularity: int = 10
    is_active: bool = True
    backorderable: bool = False
    low_stock_threshold: int = 5
    left_over: int | None = None


# Category, then lines of: SKU | name | price | popularity | description.
_SHELVES = {
    "kitchen": """
        KIT-001 | Cast iron skillet, 26 cm | 39.90 | 18 | Pre-seasoned, for every hob and the oven.
        KIT-002 | Chef's knife, 20 cm | 54.00 | 16 | Forged steel with a full tang; wash by hand.
        KIT-003 | Bamboo cutting board | 19.50 | 14 | With a juice groove, 40 by 28 cm.
        KIT-004 | Pour-over coffee dripper | 22.00 | 20 | Porcelain, for filters of size 2.
        KIT-005 | Gooseneck kettle, 1 l | 48.50 | 12 | Stainless steel with a thermometer.
        KIT-006 | Hand coffee grinder | 64.00 | 11 | Conical steel burrs, forty steps.
        KIT-007 | Enamel mug, 350 ml | 9.80 | 30 | Light, hard to break, at home by the fire too.
        KIT-008 | Linen tea towels, set of 3 | 17.90 | 15 | Washed linen, 50 by 70 cm.
        KIT-009 | Storage jars, set of 4 | 26.40 | 13 | Borosilicate glass with bamboo lids.
        KIT-010 | Digital kitchen scale | 29.00 | 9 | Grams and millilitres, up to 5 kg.
        KIT-011 | Mortar and pestle | 32.00 | 6 | Granite, 15 cm across.
        KIT-012 | Sourdough proofing basket | 15.20 | 8 | Rattan with a linen cloth, for 750 g.
    """,
    "outdoor": """
        OUT-001 | Two-person tent | 189.00 | 7 | 2.1 kg, stands without pegs, 3,000 mm.
        OUT-002 | Down sleeping bag | 229.00 | 5 | Comfortable to minus 4 degrees, 980 g.
        OUT-003 | Insulated bottle, 750 ml | 27.90 | 26 | Keeps cold a day and hot half of one.
        OUT-004 | Headlamp, 400 lumen | 34.50 | 17 | Charged by USB-C, with red light.
        OUT-005 | Trekking poles, pair | 59.90 | 8 | Carbon, folds to 38 cm.
        OUT-006 | Camping stove | 44.00 | 10 | For gas cartridges, boils a litre in four minutes.
        OUT-007 | Rain poncho | 24.90 | 14 | Covers you and a backpack of 30 litres.
        OUT-008 | Merino socks, 2 pairs | 28.00 | 22 | Padded at heel and toe.
        OUT-009 | Day pack, 22 l | 79.00 | 12 | Recycled fabric, with a rain cover.
        OUT-010 | Hammock with straps | 52.00 | 9 | Bears 200 kg, packs to the size of a melon.
        OUT-011 | Compass with mirror | 31.50 | 5 | Liquid-filled, with a declination scale.
        OUT-012 | First-aid kit | 21.00 | 11 | Sixty pieces in a waterproof bag.
    """,
    "stationery": """
        STA-001 | Notebook A5, dotted | 12.90 | 32 | 160 pages that ink does not bleed through.
        STA-002 | Fountain pen, fine | 36.00 | 14 | Steel nib, with a converter.
        STA-003 | Ink, midnight blue, 50 ml | 11.50 | 12 | Dries quickly, washes out slowly.
        STA-004 | Pencils, set of 12 | 8.40 | 20 | Cedar, from 4H to 6B.
        STA-005 | Desk organiser | 33.00 | 7 | Oak with five compartments.
        STA-006 | Weekly planner pad | 10.90 | 18 | 52 undated sheets in A4.
        STA-007 | Washi tape, 10 rolls | 13.20 | 10 | Ten patterns, 15 mm wide.
        STA-008 | Letter paper with envelopes | 16.80 | 6 | 25 sheets of cotton paper.
        STA-009 | Brass ruler, 30 cm | 18.50 | 5 | Gains its patina with the years.
        STA-010 | Sticky notes, 6 pads | 5.90 | 24 | Made of recycled paper.
    """,
    "home": """
        HOM-001 | Wool blanket | 89.00 | 9 | Undyed new wool, 140 by 200 cm.
        HOM-002 | Beeswax candles, 4 pieces | 18.90 | 16 | Each burns for twelve hours.
        HOM-003 | Desk lamp | 74.50 | 8 | Dimmable, warm to cold light, high colour fidelity.
        HOM-004 | Wall clock, 30 cm | 42.00 | 6 | A silent movement behind glass.
        HOM-005 | Plant pot with saucer | 23.50 | 15 | Terracotta, 18 cm.
        HOM-006 | Door mat | 27.00 | 9 | Coir, 60 by 40 cm.
        HOM-007 | Laundry basket | 38.00 | 7 | Seagrass with a cotton lining.
        HOM-008 | Soap, set of 3 | 14.40 | 21 | Olive oil, lavender and sea salt.
    """,
    "tools": """
        TOO-001 | Screwdriver set | 29.90 | 12 | Eight blades of hardened steel.
        TOO-002 | Folding saw | 33.50 | 6 | Cuts on the pull, 18 cm.
        TOO-003 | Multi-tool | 69.00 | 10 | Fourteen functions, 210 g.
        TOO-004 | Tape measure, 5 m | 11.90 | 15 | Millimetres and inches.
        TOO-005 | Work gloves | 14.90 | 13 | Goatskin, sizes 7 to 11.
        TOO-006 | Cordless drill, 12 V | 119.00 | 5 | With two batteries in a case.
    """,
}


def _shelved() -> list[Article]:
    articles = []
    for category, lines in _SHELVES.items():
        for line in lines.strip().splitlines():
            sku, name, price, popularity, description = (part.strip() for part in line.split("|"))
            articles.append(
                Article(
                    sku=sku,
                    name=name,
                    category=category,
                    price=Decimal(price),
                    description=description,
                    popularity=int(popularity),
                )
            )
    return articles


CATALOGUE = (
    *_shelved(),
    Article(
        sku="OUT-013",
        name="Titanium cook set",
        category="outdoor",
        price=Decimal("98.00"),
        description="Two pots and a pan, 310 g. The last pieces of this year.",
        popularity=4,
        left_over=3,
    ),
    Article(
        sku="HOM-009",
        name="Hand-thrown vase",
        category="home",
        price=Decimal("64.00"),
        description="Each one a single piece; sold out until the potter is back.",
        popularity=2,
        left_over=0,
    ),
    Article(
        sku="TOO-007",
        name="Sharpening stone, 1000/6000",
        category="tools",
        price=Decimal("47.50"),
        description="May be ordered at any time; comes with the next delivery if need be.",
        popularity=8,
        backorderable=True,
        left_over=-4,
    ),
    Article(
        sku="STA-011",
        name="Calendar of last year",
        category="stationery",
        price=Decimal("6.50"),
        description="No longer sold.",
        popularity=0,
        is_active=False,
    ),
)

# A large shop sells more: one article more for so many orders.
_ORDERS_OF_AN_ARTICLE = 1_000


def assortment(orders: int) -> Sequence[Article]:
    """What a shop with so many orders sells: the catalogue, and further series of its articles."""
    usual = [article for article in CATALOGUE if article.popularity and article.left_over is None]
    further = []
    for number in range(orders // _ORDERS_OF_AN_ARTICLE):
        series, article = number // len(usual) + 2, usual[number % len(usual)]
        sku, name = f"{article.sku}-{series:03}", f"{article.name}, series {series}"
        further.append(replace(article, sku=sku, name=name))
    return [*CATALOGUE, *further]
