"""Fictional customers; example.com and example.org deliver no mail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

_FIRST_NAMES = """
    Ada Amir Anouk Bela Carmen Dario Elif Emil Esra Femke Finn Greta Hanna Ilse Imani Ivo Jana
    Joris Kaya Lars Leona Lucia Malik Mara Mateo Mina Nadia Nils Noor Olga Oskar Paula Pavel
    Quentin Rania Rosa Samir Selma Sofia Stellan Tariq Thea Tomas Ursa Valentin Wanda Yara Zeno
""".split()  # noqa: SIM905
_LAST_NAMES = """
    Abelard Bergfeld Brandsma Castellani Delacourt Eikeland Falkenrath Grünwald Hallström
    Isaksen Jablonka Kestrel Lindqvist Marchetti Nordahl Okonjo Petrakis Quistgaard Rosenblad
    Santori Tannhof Ulvestad Vasquero Westerlund Ysmir Zielonka
""".split()  # noqa: SIM905
_STREETS = """
    Ahornweg Amselgasse Bachstraße Birkenallee Fliederweg Gartenstraße Hafenstraße Kirschenweg
    Lindenstraße Marktgasse Mühlenweg Rosenstraße Schulstraße Uferweg Waldstraße
""".split()  # noqa: SIM905
# (city, first digits of its postal codes, country)
_CITIES = (
    ("Berlin", "104", "DE"),
    ("Hamburg", "203", "DE"),
    ("Köln", "506", "DE"),
    ("Leipzig", "041", "DE"),
    ("München", "803", "DE"),
    ("Wien", "10", "AT"),
    ("Graz", "80", "AT"),
    ("Zürich", "80", "CH"),
    ("Utrecht", "35", "NL"),
    ("København", "21", "DK"),
)
_ASCII = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


@dataclass(frozen=True, kw_only=True)
class Person:
    """A customer and the address that orders are shipped to."""

    email: str
    full_name: str
    phone: str
    address: dict[str, str]


def people(*, random: Random) -> Iterator[Person]:
    """Different people, without end."""
    used: set[str] = set()
    while True:
        first, last = random.choice(_FIRST_NAMES), random.choice(_LAST_NAMES)
        local = f"{first}.{last}".lower().translate(_ASCII)
        email = f"{local}@{random.choice(('example.com', 'example.org'))}"
        if email not in used:
            used.add(email)
            yield person(f"{first} {last}", email=email, random=random)


def person(full_name: str, *, email: str, random: Random) -> Person:
    """Somebody with a random address and telephone number."""
    city, postal_code, country = random.choice(_CITIES)
    return Person(
        email=email,
        full_name=full_name,
        # 01632 960 is reserved for fiction in the United Kingdom (Ofcom).
        phone=f"+44 1632 960{random.randrange(1000):03d}",
        address={
            "name": full_name,
            "line1": f"{random.choice(_STREETS)} {random.randrange(1, 140)}",
            "line2": "",
            "city": city,
            "postal_code": f"{postal_code}{random.randrange(100):02d}",
            "region": "",
            "country": country,
        },
    )
