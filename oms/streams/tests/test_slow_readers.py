"""Clients that open a stream and do not read it, or have vanished."""

from __future__ import annotations

import ctypes
import socket
import struct
import time
from contextlib import ExitStack, suppress

import pytest
from django.db import transaction

from oms.core.actor import system
from oms.events.publishing import publish
from oms.testing.factories import make_customer, make_product, tokens_for
from oms.testing.ordering import place
from oms.testing.streams import StreamRefused, streamed
from oms.users.models import User
from orders.events import OrderEdited

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.fault
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


# A filter that lets nothing through: "ret #0" (the kernel's networking/filter.rst).
_NOTHING = struct.pack("=HBBI", 0x06, 0, 0, 0)
_SO_ATTACH_FILTER = 26


@pytest.mark.fault
def test_a_client_that_has_vanished_without_a_word_keeps_no_place(url: str) -> None:
    """As behind a cable that was pulled: nothing reaches it, and nothing comes from it."""
    access = tokens_for(make_customer()).access
    with ExitStack() as stack:
        streams = [stack.enter_context(streamed(url, "orders", token=access)) for _ in range(3)]
        wire = streams[0].response.extensions["network_stream"].get_extra_info("socket")
        code = ctypes.create_string_buffer(_NOTHING)
        program = struct.pack("HL", 1, ctypes.addressof(code))
        wire.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

        # A heartbeat within 15 s, and ten more without its acknowledgement; the client of the test
        # would give up after 60.
        until = time.monotonic() + 50
        while time.monotonic() < until:
            try:
                with streamed(url, "orders", token=access):
                    return
            except StreamRefused:
                time.sleep(1)
        pytest.fail("the place of the client that has vanished stays taken")
