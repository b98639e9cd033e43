"""The accounts of the demo shop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.hashers import make_password

from oms.core.actor import Actor, ActorKind
from oms.demo.copy import Rows
from oms.demo.customers import Person, address_of, people
from oms.demo.events import Journal
from oms.demo.randomness import Dice
from oms.users.events import UserRegistered
from oms.users.models import User

STAFF_EMAIL, STAFF_PASSWORD = "admin@example.com", "admin-demo-1"
CUSTOMER_EMAIL, CUSTOMER_PASSWORD = "customer@example.com", "customer-demo-1"

_CUSTOMERS = 25
# With many orders there are more customers: one for so many orders.
_ORDERS_OF_A_CUSTOMER = 20


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """The staff, and the customers with where their parcels go; the demo customer is the first."""

    staff: Actor
    customers: Sequence[Actor]
    addresses: Sequence[dict[str, str]]


def open_accounts(*, orders: int, seed: int, at: datetime, rows: Rows) -> Accounts:
    """Make the accounts that are not there yet.

    All customers have the demo customer's password: Argon2 is slow, so it is hashed once.
    """
    dice = Dice(seed=seed, purpose="people")
    persons = [
        Person(
            email=CUSTOMER_EMAIL,
            full_name="Demo Customer",
            phone="+44 1632 960000",
            address=address_of("Demo Customer", random=dice.random),
        ),
        *people(_CUSTOMERS + orders // _ORDERS_OF_A_CUSTOMER, random=dice.random),
    ]
    staff = _open(
        [
            User(
                id=dice.lasting_id(),
                email=STAFF_EMAIL,
                full_name="Demo Staff",
                password=make_password(STAFF_PASSWORD),
                is_staff=True,
                is_superuser=True,
                created_at=at,
            )
        ]
    )[0]
    password = make_password(CUSTOMER_PASSWORD)
    customers = _open(
        [
            User(
                id=dice.lasting_id(),
                email=person.email,
                full_name=person.full_name,
                phone=person.phone,
                password=password,
                created_at=at + timedelta(minutes=number),
            )
            for number, person in enumerate(persons)
        ]
    )
    journal = Journal(rows=rows, dice=dice)
    for user in customers:
        journal.tell(
            UserRegistered(user_id=user.id, email=user.email),
            actor=Actor(kind=ActorKind.ANONYMOUS, label="anonymous"),
            at=user.created_at,
        )
    return Accounts(
        staff=Actor(kind=ActorKind.STAFF, id=staff.id, label=staff.email),
        customers=[
            Actor(
                kind=ActorKind.CUSTOMER,
                id=user.id,
                label=user.email,
                # 198.51.100.0/24 is set aside for documentation (RFC 5737).
                ip=f"198.51.100.{number % 254 + 1}",
            )
            for number, user in enumerate(customers)
        ],
        addresses=[person.address for person in persons],
    )


def _open(users: list[User]) -> list[User]:
    """The accounts in the order given; one that was there already stays as it is."""
    wanted = {user.email for user in users}
    present = {user.email: user for user in User.objects.filter(email__in=wanted)}
    User.objects.bulk_create(user for user in users if user.email not in present)
    return [present.get(user.email, user) for user in users]
