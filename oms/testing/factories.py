"""Users, products and clients for tests, each made in one call.

Products are made by the operation that the shop itself uses, so ledger, levels and log agree.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from itertools import count
from typing import Any

from django.contrib.auth.models import Permission as PermissionRow
from rest_framework.test import APIClient

from inventory.models import Location, Product
from inventory.operations.products import create_product
from oms.core.actor import Actor, ActorKind, account, system
from oms.core.permissions import Permission
from oms.users.models import User
from oms.users.operations.sessions import TokenPair, log_in

PASSWORD = "correct-horse-battery-staple"  # noqa: S105  # of made-up users
"""The password of every user made here."""

ANONYMOUS = Actor(kind=ActorKind.ANONYMOUS, label="anonymous")

_numbers = count(1)


def make_customer(*, email: str = "", password: str = PASSWORD, **fields: Any) -> User:
    """A saved, active customer; `fields` are further fields of User."""
    number = next(_numbers)
    fields.setdefault("full_name", f"Customer {number}")
    return User.objects.create_user(email or f"customer{number}@example.com", password, **fields)


def make_staff(
    *, email: str = "", permissions: Collection[str] = tuple(Permission), **fields: Any
) -> User:
    """A saved, active member of the staff with these permissions, who is no superuser.

    By default with all permissions.
    """
    number = next(_numbers)
    fields.setdefault("full_name", f"Staff {number}")
    user = make_customer(email=email or f"staff{number}@example.com", is_staff=True, **fields)
    if permissions and not user.is_superuser:
        user.user_permissions.set(permission_rows(permissions))
    return user


def permission_rows(permissions: Collection[str]) -> list[Any]:
    """The rows of the permissions, for `user_permissions` and groups."""
    return list(PermissionRow.objects.filter(codename__in=permissions))


def actor_for(user: User) -> Actor:
    """The actor that `user` is to operations."""
    return account(
        id=user.id,
        email=user.email,
        is_staff=user.is_staff,
        is_superuser=user.is_superuser,
        permissions=user.permissions,
    )


def make_product(*, stock: int = 10, **fields: Any) -> Product:
    """A product with `stock` units at the default location, by default for 19.90 EUR."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "sku": f"SKU-{number:05}",
        "name": f"Product {number}",
        "price": Decimal("19.90"),
        "currency": "EUR",
        **fields,
    }
    return create_product(actor=system("tests"), initial_stock=stock, **values)


def make_location(*, code: str = "", priority: int = 200, **fields: Any) -> Location:
    """A location besides the default one, with a lower priority."""
    code = code or f"store-{next(_numbers)}"
    fields.setdefault("name", code.title())
    return Location.objects.create(code=code, priority=priority, **fields)


def tokens_for(user: User) -> TokenPair:
    """A real pair of tokens of a new session of `user`."""
    return log_in(actor=ANONYMOUS, email=user.email, password=PASSWORD)


# What `api_client` makes; the fixture `both_fronts` changes it.
client_class: type[APIClient] = APIClient


def api_client(user: User | None = None) -> APIClient:
    """A client of the API, signed in as `user` by a real access token; anonymous without one."""
    client = client_class()
    if user is not None:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens_for(user).access}")
    return client
