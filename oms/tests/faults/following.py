"""Followers of the lists and of the feed, while writers wait for a lock of others."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

import httpx

from oms.tests.faults.checks import (
    check_everything,
    events_after,
    wait_for_background,
    wrong_events,
)
from oms.tests.faults.clients import Buyers, accepted, order_body
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.held_stock import stock_held_now_and_then
from oms.tests.faults.shop import Shop
from oms.tests.faults.weakening import ENVIRONMENT, without

_WRITERS = 8
# Several writers are one customer, whose own events are not in the order of their times either.
_CUSTOMERS = 2
_PAUSE = 0.02
# Lists show changes when they are settled, a second later at the earliest.
_SETTLE_SECONDS = 15.0
# Of each list the member that changes with its objects, and their present state by orders.
_LISTS = {
    "/admin/orders": (
        "version",
        "SELECT id::text, version::text FROM orders_order WHERE id = ANY(%s::uuid[])",
    ),
    "/admin/payments": (
        "status",
        "SELECT id::text, status FROM payments_payment WHERE order_id = ANY(%s::uuid[])",
    ),
    "/products": (
        "version",
        "SELECT product.id::text, product.version::text FROM inventory_product AS product"
        " WHERE id IN (SELECT product_id FROM orders_orderitem WHERE order_id = ANY(%s::uuid[]))",
    ),
}
_OF_STAFF = ("order", "payment", "refund", "product", "location")
_OF_CUSTOMERS = ("order", "return", "notification")


class _ListFollower:
    """Asks a list from the greatest `updated_at` that it has seen."""

    def __init__(self, client: httpx.Client, path: str, *, since: str) -> None:
        self._client, self.path, self._since = client, path, since
        self._member, self.query = _LISTS[path]
        self.seen: dict[str, str] = {}

    def follow(self) -> None:
        query = {"ordering": "updated_at", "updated_since": self._since, "page_size": "200"}
        answer = self._client.get(self.path, params=query)
        if answer.status_code == httpx.codes.OK:
            for row in answer.json()["results"]:
                self.seen[row["id"]] = str(row[self._member])
                self._since = row["updated_at"]


class _FeedFollower:
    """Asks for the events after the last that it has seen; as the customer if one is named."""

    def __init__(self, client: httpx.Client, *, customer: str | None = None) -> None:
        self._client, self.customer = client, customer
        path = "/events" if customer else "/admin/events"
        self._next = client.get(path, params={"after": "latest"}).json()["next"]
        self.start = self._next.rpartition("=")[2]
        self.seen: list[str] = []

    def follow(self) -> None:
        answer = self._client.get(self._next)
        if answer.status_code == httpx.codes.OK:
            page = answer.json()
            self.seen += [event["id"] for event in page["results"]]
            self._next = page["next"]


def follow(shop: Shop, size: Size) -> Outcome:
    """Orders, payments and products change, and all of the writers wait for one row."""
    outcome, buyers = _follow(shop, changes=size.choose(quick=200, full=10_000))
    buyers.record.calls = []  # what was cancelled at once need not be paid
    outcome.violations += check_everything(shop, buyers.record)
    return outcome


def follow_unsettled(shop: Shop, size: Size) -> Outcome:
    with without(shop, "settled"):
        return _follow(shop, changes=400)[0]


def _follow(shop: Shop, *, changes: int) -> tuple[Outcome, Buyers]:
    outcome, buyers = Outcome(), Buyers(shop)
    # Before the products are made, for not each of them is changed later.
    since = shop.value("SELECT now()").isoformat()
    products = shop.products(number=4)
    with ExitStack() as stack:
        client = stack.enter_context(_client(shop, token=shop.staff_token()))
        lists = [_ListFollower(client, path, since=since) for path in _LISTS]
        feeds = [_FeedFollower(client)]
        for token in buyers.tokens()[:_CUSTOMERS]:
            own = stack.enter_context(_client(shop, token=token))
            feeds.append(_FeedFollower(own, customer=buyers.customer_id(token)))
        with _repeated([*[each.follow for each in lists], *[each.follow for each in feeds]]):
            with stock_held_now_and_then(shop, products[:1], held=0.2, free=0.05):
                made = _change(buyers, client, products, number=changes)
            outcome.violations += wait_for_background(shop, seconds=60)
            orders = accepted(buyers.record.calls)
            # What was missed never comes, as nothing changes any more.
            with suppress(TimeoutError):
                shop.wait_until(
                    lambda: not _missed(shop, lists, feeds, orders),
                    seconds=_SETTLE_SECONDS,
                    what="all is followed",
                )
    outcome.count("changes", made)
    outcome.count("events", len(feeds[0].seen))
    outcome.violations += _missed(shop, lists, feeds, orders)
    return outcome, buyers


def _missed(
    shop: Shop,
    lists: Sequence[_ListFollower],
    feeds: Sequence[_FeedFollower],
    orders: Sequence[str],
) -> list[str]:
    """Changes of these orders that a follower has missed, and what is wrong with the feeds."""
    violations = []
    for each in lists:
        present = dict(shop.rows(each.query, [orders]))
        if missed := sum(1 for id, state in present.items() if each.seen.get(id) != state):
            violations.append(f"{each.path}: {missed} of {len(present)} changes missed")
    for feed in feeds:
        kinds = _OF_CUSTOMERS if feed.customer else _OF_STAFF
        right = events_after(shop, feed.start, kinds=kinds, customer=feed.customer)
        name = "feed of a customer" if feed.customer else "feed"
        violations += [f"{name}: {text}" for text in wrong_events(feed.seen, right=right)]
    return violations


def _client(shop: Shop, *, token: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=f"{shop.url}/api/v1", headers=headers, timeout=20)


def _change(buyers: Buyers, staff: httpx.Client, products: Sequence[str], *, number: int) -> int:
    """Make so many changes: orders placed and cancelled at once, and products renamed."""
    numbers = itertools.count()
    tokens = buyers.tokens()

    def write(writer: int) -> None:
        # All wait for the stock of the first; half of them in an order that holds another one's.
        product = products[1 + writer // 2 % 3]
        lines = [(products[0], 1), (product, 1)] if writer % 2 else [(products[0], 1)]
        token = tokens[writer % _CUSTOMERS]
        headers = {"Authorization": f"Bearer {token}"}
        with buyers.client() as client:
            while next(numbers) < number:
                call = buyers.place(client, order_body(*lines), token=token)
                next(numbers)
                with suppress(httpx.TransportError):
                    url = f"/api/v1/orders/{call.order_id}/cancel"
                    client.put(url, json={}, headers=headers)
                    if random.random() < 0.2:
                        next(numbers)
                        changes = {"name": f"Renamed {time.monotonic_ns()}"}
                        staff.patch(f"/products/{random.choice(lines)[0]}", json=changes)

    writers = [threading.Thread(target=write, args=(one,), daemon=True) for one in range(_WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return next(numbers)


@contextmanager
def _repeated(works: Sequence[Callable[[], None]]) -> Iterator[None]:
    """Each of the `works` again and again, in a thread of its own, while the block runs."""
    stop = threading.Event()

    def repeat(work: Callable[[], None]) -> None:
        while not stop.wait(_PAUSE):
            with suppress(httpx.TransportError):
                work()

    threads = [threading.Thread(target=repeat, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=30)


EXPERIMENTS = (
    Experiment(
        name="followers of lists and of the feed",
        bar="no change missed, each event once and in order",
        run=follow,
        control=follow_unsettled,
        control_environment=ENVIRONMENT,
    ),
)
