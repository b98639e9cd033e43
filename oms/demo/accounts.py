"""The accounts of the demo shop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

from django.contrib.auth.hashers import make_password

from oms.core import clock
from oms.core.actor import SEED_REQUEST_ID, Actor, ActorKind, anonymous
from oms.demo.customers import people, person
from oms.events.publishing import publish_all
from oms.users.events import UserRegistered
from oms.users.models import User

STAFF_EMAIL, STAFF_PASSWORD = "admin@example.com", "admin-demo-1"
CUSTOMER_EMAIL, CUSTOMER_PASSWORD = "customer@example.com", "customer-demo-1"

_CUSTOMERS = 25
_ORDERS_PER_FURTHER_CUSTOMER = 20


@dataclass(frozen=True, kw_only=True)
class Customer:
    """A customer and the shipping address."""

    actor: Actor
    address: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """The demo customer is the first of `customers`."""

    staff: Actor
    customers: Sequence[Customer]


def create_accounts(*, orders: int, random: Random) -> Accounts:
    """Create the accounts that do not exist yet.

    Unlike `register_user` it hashes one password for all customers, because hashing is slow.
    """
    number = _CUSTOMERS + orders // _ORDERS_PER_FURTHER_CUSTOMER
    persons = [
        person("Demo Customer", email=CUSTOMER_EMAIL, random=random),
        *islice(people(random=random), number),
    ]
    now, password = clock.now(), make_password(CUSTOMER_PASSWORD)
    [staff] = _create(
        [
            User(
                email=STAFF_EMAIL,
                full_name="Demo Staff",
                password=make_password(STAFF_PASSWORD),
                is_staff=True,
                is_superuser=True,
                created_at=now,
            )
        ]
    )
    users = _create(
        [
            User(
                email=one.email,
                full_name=one.full_name,
                phone=one.phone,
                password=password,
                created_at=now,
            )
            for one in persons
        ]
    )
    visitor = anonymous(request_id=SEED_REQUEST_ID)
    publish_all([(UserRegistered(user_id=user.id, email=user.email), visitor) for user in users])
    return Accounts(
        staff=_actor(staff, ActorKind.STAFF, ip=None),
        customers=[
            # 198.51.100.0/24 is reserved for documentation (RFC 5737).
            Customer(
                actor=_actor(user, ActorKind.CUSTOMER, ip=f"198.51.100.{number % 254 + 1}"),
                address=one.address,
            )
            for number, (user, one) in enumerate(zip(users, persons, strict=True))
        ],
    )


def _actor(user: User, kind: ActorKind, *, ip: str | None) -> Actor:
    return Actor(
        kind=kind,
        id=user.id,
        label=user.email,
        request_id=SEED_REQUEST_ID,
        ip=ip,
        is_superuser=user.is_superuser,
    )


def _create(users: list[User]) -> list[User]:
    """The accounts in the given order; existing ones are left as they are."""
    emails = {user.email for user in users}
    existing = {user.email: user for user in User.objects.filter(email__in=emails)}
    User.objects.bulk_create(user for user in users if user.email not in existing)
    return [existing.get(user.email, user) for user in users]
