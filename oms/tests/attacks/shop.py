"""A small shop with something of everything, and its callers."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from django.conf import settings
from django.db import connection, transaction
from django.urls import reverse

from inventory.models import Product, StockDocument
from inventory.operations.counting import count_stock
from inventory.operations.documents import StockLine
from inventory.operations.receiving import receive_stock
from inventory.operations.stock_alerts import add_stock_alert
from inventory.operations.transferring import transfer_stock
from notifications.models import Channel, DeliveryState, Kind, Notification
from oms.core import clock
from oms.core.actor import system
from oms.core.ids import new_id
from oms.exceptions.kinds import ExceptionKind
from oms.exceptions.models import ExceptionRecord
from oms.exceptions.operations.recording import NewException, raise_exceptions, subject_of
from oms.testing import factories
from oms.testing.factories import (
    actor_for,
    make_customer,
    make_location,
    make_product,
    make_staff,
    tokens_for,
)
from oms.testing.ordering import paid_order, payment_of, place
from oms.users.models import Session, User
from oms.users.operations.sessions import TokenPair
from orders.models import Order, OrderReturn, Shipment
from orders.operations.fulfilling import ship_items
from orders.operations.returns import ReturnedItem, request_return
from payments.models import Payment
from payments.signatures import sign


@dataclass(frozen=True, kw_only=True)
class Shop:
    """What there is; `order`, `paid`, `shipped` and `notification` belong to `owner`.

    All who may sign in have an alert for `awaited`.

    The `clerk` has all permissions, the `boss` is a superuser, the `member` of the staff has none.
    """

    owner: User
    stranger: User
    clerk: User
    boss: User
    member: User
    product: Product
    hidden: Product
    sold_out: Product
    awaited: Product
    receipt: StockDocument
    transfer: StockDocument
    count: StockDocument
    order: Order
    paid: Order
    # With a shipment and a return that was requested.
    shipped: Order
    shipment: Shipment
    order_return: OrderReturn
    payment: Payment
    notification: Notification
    exception: ExceptionRecord
    # Authorization by the name of the caller; None without one.
    authorization: Mapping[str, str | None]
    # A session of the owner that has not ended.
    pair: TokenPair

    def client(self, caller: str) -> Any:
        """A client of the API that sends the caller's credentials."""
        client = factories.client_class(raise_request_exception=False)
        if (authorization := self.authorization[caller]) is not None:
            client.credentials(HTTP_AUTHORIZATION=authorization)
        return client


VALID = ("owner", "stranger", "clerk", "boss")
INVALID = (
    "deactivated customer",
    "deactivated staff",
    "expired token",
    "forged token",
    "refresh token",
    "revoked session",
    "garbage",
)
CALLERS = ("anonymous", *VALID, *INVALID)


def open_shop() -> Shop:
    """Create the shop."""
    owner, stranger = make_customer(), make_customer()
    clerk, boss = make_staff(), make_staff(is_superuser=True)
    product, _ = make_product(stock=100), make_product()
    order, paid = place((product, 2), customer=owner), paid_order((product, 3), customer=owner)
    place((product, 1), customer=stranger)
    make_location(code="store")
    awaited = make_product(stock=0)
    for user in (owner, stranger, clerk, boss):
        add_stock_alert(actor=actor_for(user), product_id=awaited.id)
    lines = [StockLine(product_id=product.id, quantity=1)]
    documents: dict[str, Any] = {"actor": actor_for(clerk), "reference": "OLD-1", "lines": lines}
    shipped = paid_order((product, 4), customer=owner)
    shipment = ship_items(actor=actor_for(boss), order_id=shipped.id)
    [item] = shipped.items.all()
    order_return = request_return(
        actor=actor_for(owner),
        order_id=shipped.id,
        items=[ReturnedItem(order_item_id=item.id, quantity=1)],
    )
    notification = Notification.objects.create(
        event_id=new_id(),
        recipient=owner,
        email=owner.email,
        channel=Channel.IN_APP,
        kind=Kind.ORDER_PLACED,
        subject="Thank you",
        body="Thank you",
        order_id=order.id,
        state=DeliveryState.SENT,
        sent_at=clock.now(),
    )
    return Shop(
        owner=owner,
        stranger=stranger,
        clerk=clerk,
        boss=boss,
        member=make_staff(permissions=()),
        product=product,
        hidden=make_product(is_active=False),
        sold_out=make_product(stock=0),
        awaited=awaited,
        receipt=receive_stock(**documents),
        transfer=transfer_stock(**documents, from_location="main", to="store"),
        count=count_stock(**documents, location="store"),
        order=order,
        paid=paid,
        shipped=shipped,
        shipment=shipment,
        order_return=order_return,
        payment=payment_of(paid),
        notification=notification,
        exception=_raised(payment_of(paid)),
        authorization=_authorizations(owner, stranger, clerk, boss),
        pair=tokens_for(owner),
    )


def _raised(payment: Payment) -> ExceptionRecord:
    """An open exception about the payment."""
    new = NewException(
        kind=ExceptionKind.REFUND_FAILED,
        subject=subject_of("payment", payment.id),
        cause="The provider refused the refund.",
        order_id=payment.order_id,
        payment_id=payment.id,
    )
    with transaction.atomic():
        raise_exceptions([new], actor=system("tests"))
    return ExceptionRecord.objects.get()


def _authorizations(owner: User, stranger: User, clerk: User, boss: User) -> dict[str, str | None]:
    gone, gone_staff = make_customer(), make_staff(is_superuser=True)
    revoked = tokens_for(boss)
    session = jwt.decode(revoked.access, options={"verify_signature": False})["sid"]
    tokens = {
        "owner": tokens_for(owner).access,
        "stranger": tokens_for(stranger).access,
        "clerk": tokens_for(clerk).access,
        "boss": tokens_for(boss).access,
        "deactivated customer": tokens_for(gone).access,
        "deactivated staff": tokens_for(gone_staff).access,
        "expired token": forged(tokens_for(boss).access, exp=1),
        "forged token": forged(tokens_for(boss).access, key="k" * 64),
        "refresh token": tokens_for(boss).refresh,
        "revoked session": revoked.access,
        "garbage": "garbage",
    }
    User.objects.filter(pk__in=[gone.pk, gone_staff.pk]).update(is_active=False)
    Session.objects.filter(pk=session).update(revoked_at=clock.now())
    return {"anonymous": None, **{name: f"Bearer {token}" for name, token in tokens.items()}}


def forged(
    token: str,
    *,
    key: str = settings.JWT_SIGNING_KEY,
    headers: Mapping[str, Any] | None = None,
    algorithm: str = "HS256",
    **claims: Any,
) -> str:
    """`token` with other claims and headers (None removes one), signed again with `key`."""
    kept = {**jwt.decode(token, options={"verify_signature": False}), **claims}
    head = {**jwt.get_unverified_header(token), **(headers or {}), "alg": algorithm}
    return jwt.encode(
        {name: value for name, value in kept.items() if value is not None},
        key,
        algorithm=algorithm,
        headers={name: value for name, value in head.items() if value is not None},
    )


@contextmanager
def undone() -> Iterator[None]:
    """Undo what is written inside."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def database_digest(*, without: Collection[str] = ()) -> str:
    """A digest of all rows of each table but those of `without`."""
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor)).difference(without)
        parts = [
            f"SELECT '{name}', md5(string_agg(t::text, ',' ORDER BY t::text)) FROM \"{name}\" AS t"  # noqa: S608
            for name in tables
        ]
        cursor.execute(" UNION ALL ".join(parts))
        return json.dumps(sorted(cursor.fetchall()))


@dataclass(frozen=True, kw_only=True)
class Request:
    """A valid request: the path's arguments, the query, the body and further headers."""

    kwargs: Mapping[str, Any] = field(default_factory=dict)
    query: str = ""
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def send(self, client: Any, method: str, route: str, **changes: Any) -> Any:
        """The answer to the request, with these of its members changed."""
        kwargs = changes.get("kwargs", self.kwargs)
        body = changes.get("body", self.body)
        return client.generic(
            method,
            changes.get("path") or f"{reverse(route, kwargs=dict(kwargs))}{self.query}",
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body),
            content_type="application/json",
            headers={**self.headers, **changes.get("headers", {})},
        )


Make = Callable[[Shop], Request]


def signed_webhook(shop: Shop) -> Request:
    """A webhook of the provider about an event that the shop does not know."""
    data = {"idempotency_key": "somebody else's", "status": "captured"}
    body = {"type": "payout.paid", "created_at": clock.now().isoformat(), "data": data}
    raw, id, timestamp = json.dumps(body).encode(), str(new_id()), int(clock.now().timestamp())
    secret = settings.SANDBOX_WEBHOOK_SECRET
    return Request(
        kwargs={"provider": "sandbox"},
        body=raw,
        headers={
            "webhook-id": id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(secret=secret, id=id, timestamp=timestamp, body=raw),
        },
    )


def status_with(token: str, *, scheme: str = "Bearer") -> int:
    """The status of a call of a hot route with the access token."""
    client = factories.client_class(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"{scheme} {token}")
    return int(client.get(reverse("orders")).status_code)


def status_of_refreshing(token: str) -> int:
    """The status of refreshing with the refresh token."""
    client = factories.client_class(raise_request_exception=False)
    return int(client.post(reverse("token-refresh"), {"refresh": token}).status_code)
