"""Changes of one order at the same moment: one legal outcome each, and the money follows it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from oms.tests.faults.checks import check_everything, wait_for_background
from oms.tests.faults.clients import Buyers, Call, accepted, order_body
from oms.tests.faults.crowd import Answer, Caller, at_once, place_many
from oms.tests.faults.experiments import Experiment, Outcome, Size
from oms.tests.faults.order_checks import unsound
from oms.tests.faults.shop import Shop
from oms.tests.faults.weakening import ENVIRONMENT, without

_SETTLE = 60.0
# Two calls of each race, so that twice as many run at a time.
_AT_ONCE = 16

Work = Callable[[Caller], Awaitable[Answer]]
Race = Callable[[Shop, Outcome, Buyers, int], Sequence[str]]
"""Runs a number of races; the ids of their orders."""


def _run(race: Race, shop: Shop, *, number: int, protection: str = "") -> Outcome:
    outcome, buyers = Outcome(), Buyers(shop)
    outcome.count("races", number)
    if protection:
        with without(shop, protection):
            orders = race(shop, outcome, buyers, number)
            outcome.violations += wait_for_background(shop, seconds=_SETTLE)
    else:
        orders = race(shop, outcome, buyers, number)
        outcome.violations += wait_for_background(shop, seconds=_SETTLE)
    outcome.violations += unsound(shop, orders)
    if not protection:
        buyers.record.calls = []  # whether they were paid depends on the race
        outcome.violations += check_everything(shop, buyers.record)
    return outcome


def _paid_orders(shop: Shop, buyers: Buyers, number: int) -> list[Call]:
    placed = _orders(shop, buyers, number, payment_token="tok_success")
    if left := wait_for_background(shop, seconds=_SETTLE):
        raise RuntimeError(left[0])
    return placed


def _orders(shop: Shop, buyers: Buyers, number: int, *, payment_token: str = "") -> list[Call]:
    products = shop.products()
    bodies = [order_body((products[one % len(products)], 2)) for one in range(number)]
    for body in bodies:
        if payment_token:
            body["payment"]["token"] = payment_token
        else:
            del body["payment"]
    return place_many(shop, buyers, bodies)


def _pairs(shop: Shop, works: Sequence[tuple[Work, ...]]) -> list[list[Answer]]:
    """The answers to calls that were made at the same moment, some of these groups at a time."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def run(caller: Caller, group: Sequence[Work]) -> list[Answer]:
        async with gate:
            return await asyncio.gather(*[work(caller) for work in group])

    return at_once(shop, [partial(run, group=group) for group in works])


def _call(method: str, path: str, token: str, body: object = None) -> Work:
    return partial(Caller.settle, method=method, path=path, token=token, body=body)


def _cancel(order: Call) -> Work:
    return _call("PUT", f"/orders/{order.order_id}/cancel", order.token, {})


def _cancel_against_pay(shop: Shop, outcome: Outcome, buyers: Buyers, number: int) -> Sequence[str]:
    """Half of them while the payment is requested, half while the provider is asked."""
    payment = {"provider": "sandbox", "token": "tok_success"}
    unpaid = _orders(shop, buyers, number // 2)
    answers = _pairs(
        shop,
        [
            (
                _cancel(order),
                _call("POST", f"/orders/{order.order_id}/payments", order.token, payment),
            )
            for order in unpaid
        ],
    )
    products = shop.products()

    async def place_and_cancel(caller: Caller, number: int) -> tuple[Call, Answer]:
        body = order_body((products[number % len(products)], 2))
        token = buyers.tokens()[number % len(buyers.tokens())]
        call = await caller.place(buyers, body, token=token)
        # Between nothing and the usual time of a payment.
        await asyncio.sleep((number % 20) / 50)
        return call, await _cancel(call)(caller)

    placed = at_once(
        shop,
        [partial(place_and_cancel, number=one) for one in range(number - number // 2)],
        limit=_AT_ONCE,
    )
    for pair in answers:
        if pair[0].status != 200 or pair[1].status not in (202, 409):
            outcome.violations.append(f"cancel: {pair[0]}, pay: {pair[1]}")
    outcome.violations += [
        f"cancel: {cancelled}" for _, cancelled in placed if cancelled.status != 200
    ]
    orders = [*accepted(unpaid), *accepted([call for call, _ in placed])]
    kept = shop.value(
        "SELECT count(*) FROM orders_order WHERE id = ANY(%s::uuid[]) AND status <> 'cancelled'",
        [orders],
    )
    if kept:
        outcome.violations.append(f"{kept} orders whose cancelling was acknowledged are not so")
    return orders


def _ship_against_cancel(
    shop: Shop, outcome: Outcome, buyers: Buyers, number: int
) -> Sequence[str]:
    orders, staff = _paid_orders(shop, buyers, number), shop.staff_token()
    shipment = {"carrier": "DHL", "tracking_number": "JD014600003828392837"}
    answers = _pairs(
        shop,
        [
            (
                _call("POST", f"/admin/orders/{order.order_id}/shipments", staff, shipment),
                _cancel(order),
            )
            for order in orders
        ],
    )
    results = Counter((shipped.status, cancelled.status) for shipped, cancelled in answers)
    outcome.count("shipped", results[201, 409])
    outcome.count("cancelled", results[409, 200])
    outcome.violations += [
        f"{count} times ship {shipped}, cancel {cancelled}"
        for (shipped, cancelled), count in results.items()
        if (shipped, cancelled) not in {(201, 409), (409, 200)}
    ]
    return accepted(orders)


def _refunds(shop: Shop, outcome: Outcome, buyers: Buyers, number: int) -> Sequence[str]:
    """Two of the whole amount at once; for each tenth order twenty of a part of it."""
    orders, staff = _paid_orders(shop, buyers, number), shop.staff_token()
    payments = dict(
        shop.rows(
            "SELECT order_id::text, id::text FROM payments_payment"
            " WHERE order_id = ANY(%s::uuid[])",
            [accepted(orders)],
        )
    )
    works = []
    for place, order in enumerate(orders):
        path = f"/admin/payments/{payments[order.order_id]}/refunds"
        # Of 19.80, nine of 2.00.
        body, times = ({"amount": "2.00"}, 20) if place % 10 == 0 else ({}, 2)
        works.append((_call("POST", path, staff, {"reason": "race", **body}),) * times)
    for place, group in enumerate(_pairs(shop, works)):
        statuses = Counter(answer.status for answer in group)
        right = Counter({202: 9, 409: 11} if place % 10 == 0 else {202: 1, 409: 1})
        outcome.count("refunds", statuses[202])
        if statuses != right:
            outcome.violations.append(f"refunds at once: {dict(statuses)}")
    return accepted(orders)


def _answer_against_webhook(
    shop: Shop, outcome: Outcome, buyers: Buyers, number: int
) -> Sequence[str]:
    """The provider's answer and its webhook arrive together, or one late, doubled or never."""
    orders: list[Call] = []
    for token, share in (
        ("tok_success", 0.7),
        ("tok_duplicate_webhook", 0.2),
        ("tok_slow", 0.05),
        ("tok_timeout_success", 0.05),
    ):
        orders += _orders(shop, buyers, int(number * share), payment_token=token)
    return accepted(orders)


def _experiment(name: str, race: Race, *, protection: str) -> Experiment:
    def run(shop: Shop, size: Size) -> Outcome:
        return _run(race, shop, number=size.choose(quick=24, full=1000))

    def control(shop: Shop, size: Size) -> Outcome:
        return _run(race, shop, number=100, protection=protection)

    return Experiment(
        name=name,
        bar="one legal outcome in N of N",
        run=run,
        control=control,
        control_environment=ENVIRONMENT,
        is_heavy=True,
    )


EXPERIMENTS = (
    _experiment("cancel against pay", _cancel_against_pay, protection="order lock"),
    _experiment("ship against cancel", _ship_against_cancel, protection="order lock"),
    _experiment("refund against refund", _refunds, protection="payment lock"),
    _experiment("answer against webhook", _answer_against_webhook, protection="payment lock"),
)
