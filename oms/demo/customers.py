"""Made-up customers; none of them is a real person, and example.com and .org reach nobody."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from random import Random

_FIRST = [
    "Ada",
    "Amir",
    "Anouk",
    "Bela",
    "Carmen",
    "Dario",
    "Elif",
    "Emil",
    "Esra",
    "Femke",
    "Finn",
    "Greta",
    "Hanna",
    "Ilse",
    "Imani",
    "Ivo",
    "Jana",
    "Joris",
    "Kaya",
    "Lars",
    "Leona",
    "Lucia",
    "Malik",
    "Mara",
    "Mateo",
    "Mina",
    "Nadia",
    "Nils",
    "Noor",
    "Olga",
    "Oskar",
    "Paula",
    "Pavel",
    "Quentin",
    "Rania",
    "Rosa",
    "Samir",
    "Selma",
    "Sofia",
    "Stellan",
    "Tariq",
    "Thea",
    "Tomas",
    "Ursa",
    "Valentin",
    "Wanda",
    "Yara",
    "Zeno",
]
_LAST = [
    "Abelard",
    "Bergfeld",
    "Brandsma",
    "Castellani",
    "Delacourt",
    "Eikeland",
    "Falkenrath",
    "Grünwald",
    "Hallström",
    "Isaksen",
    "Jablonka",
    "Kestrel",
    "Lindqvist",
    "Marchetti",
    "Nordahl",
    "Okonjo",
    "Petrakis",
    "Quistgaard",
    "Rosenblad",
    "Santori",
    "Tannhof",
    "Ulvestad",
    "Vasquero",
    "Westerlund",
    "Ysmir",
    "Zielonka",
]
_STREETS = [
    "Ahornweg",
    "Amselgasse",
    "Bachstraße",
    "Birkenallee",
    "Fliederweg",
    "Gartenstraße",
    "Hafenstraße",
    "Kirschenweg",
    "Lindenstraße",
    "Marktgasse",
    "Mühlenweg",
    "Rosenstraße",
    "Schulstraße",
    "Uferweg",
    "Waldstraße",
]
# (city, postal code's digits before the last two, country)
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
_PLAIN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


@dataclass(frozen=True, kw_only=True)
class Person:
    """A customer: e-mail address, name, telephone number and where the parcels go."""

    email: str
    full_name: str
    phone: str
    address: dict[str, str]


def people(number: int, *, random: Random) -> list[Person]:
    """That many different people."""
    found: list[Person] = []
    taken: set[str] = set()
    while len(found) < number:
        first, last = random.choice(_FIRST), random.choice(_LAST)
        name = f"{first} {last}"
        domain = random.choice(("example.com", "example.org"))
        local = f"{first}.{last}".lower().translate(_PLAIN)
        email = next(
            address
            for n in count(1)
            if (address := f"{local}{n if n > 1 else ''}@{domain}") not in taken
        )
        taken.add(email)
        found.append(
            Person(
                email=email,
                full_name=name,
                # 01632 960 is set aside for fiction in the United Kingdom (Ofcom).
                phone=f"+44 1632 960{random.randrange(1000):03d}",
                address=address_of(name, random=random),
            )
        )
    return found


def address_of(name: str, *, random: Random) -> dict[str, str]:
    """A made-up address."""
    city, postal, country = random.choice(_CITIES)
    return {
        "name": name,
        "line1": f"{random.choice(_STREETS)} {random.randrange(1, 140)}",
        "line2": "",
        "city": city,
        "postal_code": f"{postal}{random.randrange(100):02d}",
        "region": "",
        "country": country,
    }
