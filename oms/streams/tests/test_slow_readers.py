"""Clients that open a stream and do not read it."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

import pytest
from django.db import transaction

from oms.core.actor import system
from oms.events.publishing import publish
from oms.testing.factories import make_customer, make_product, tokens_for
from oms.testing.ordering import place
from oms.testing.streams import streamed
from oms.users.models import User
from orders.events import OrderEdited

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.fault
@pytest.mark.slow
def test_a_client_that_does_not_read_is_dropped_and_can_resume(url: str) -> None:
    buyer = make_customer()
    access, number, length = tokens_for(buyer).access, 1_000, 20_000
    host, _, port = url.removeprefix("http://").partition(":")
    request = (
        f"GET /api/v1/stream?topics=orders HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {access}\r\n\r\n"
    )
    with socket.socket() as lazy, streamed(url, "orders", token=access) as reading:
        # Otherwise the kernel may take it all, in buffers that grow.
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        lazy.settimeout(30)
        lazy.connect((host, int(port)))
        lazy.sendall(request.encode())
        while b"stream.opened" not in lazy.recv(4096, socket.MSG_PEEK):
            time.sleep(0.05)
        write_large_events(customer=buyer, number=number, length=length)
        seen = [reading.next().id for _ in range(number)]
        time.sleep(12)  # the server waits for ten seconds

        size = 0
        with suppress(ConnectionResetError):
            while part := lazy.recv(1 << 20):
                size += len(part)
        assert size < number * length
        assert reading.is_silent()
    with streamed(url, "orders", token=access, after=seen[10]) as stream:
        assert [stream.next().id for _ in seen[11:]] == seen[11:]


def write_large_events(*, customer: User, number: int, length: int) -> None:
    """Together more than a connection's buffers in the kernel hold."""
    order = place((make_product(), 1))
    edited = OrderEdited(
        order_id=order.id,
        number=order.number,
        customer_id=customer.id,
        changes={"note": ["", "x" * length]},
    )
    for _ in range(number // 100):
        with transaction.atomic():
            publish(*[edited] * 100, actor=system("tests"))
