"""Batches of reads: a constant number of statements, and failures are retried by Django."""

from __future__ import annotations

import json
from dataclasses import replace
from unittest.mock import patch

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oms.fastpath.batches import answer_batch
from oms.fastpath.calls import FastPathCall
from oms.fastpath.connections import prepare_connection
from oms.fastpath.tests.calls import (
    accepted,
    reading,
    request,
    statuses,
    terminate_own_connection,
    token_of,
)
from oms.testing.factories import make_customer, make_product, make_staff
from oms.testing.ordering import place

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("status", [False, True])
def test_many_reads_are_as_few_statements_as_one(status: bool) -> None:
    owners = [make_customer() for _ in range(5)]
    mug = make_product(stock=1_000)
    calls = [
        reading(place((mug, 1), customer=owner).id, token=token_of(owner), status=status)
        for owner in owners
    ] * 10

    def statements(size: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            answers = answer_batch(calls[:size])
        assert statuses(answers) == [200] * size
        return len(captured)

    assert statements(1) == statements(10) == statements(50)


def test_each_caller_of_a_batch_gets_his_own_order() -> None:
    owners = [make_customer() for _ in range(3)]
    orders = [place((make_product(), 1), customer=owner) for owner in owners]
    tokens = [token_of(owner) for owner in owners]
    own = [reading(order.id, token=token) for order, token in zip(orders, tokens, strict=True)]
    foreign = reading(orders[0].id, token=tokens[1])

    answers = answer_batch([*own, foreign])

    assert statuses(answers) == [200, 200, 200, 404]
    numbers = [json.loads(one.body)["number"] for one in answers[:3] if one]
    assert numbers == [order.number for order in orders]


def test_lists_and_single_orders_of_a_batch_are_answered_in_their_order() -> None:
    owner, other = make_customer(), make_customer()
    order, token = place((make_product(), 1), customer=owner), token_of(owner)
    lists = [accepted(request("GET", "/api/v1/orders", token=t)) for t in (token, token_of(other))]
    calls = [
        lists[0],
        reading(order.id, token=token),
        lists[1],
        reading(order.id, token=token, status=True),
    ]

    shown = [json.loads(one.body) for one in answer_batch(calls) if one]

    own, detail, none, status = shown
    assert own["results"] == [detail]
    assert none["results"] == []
    assert (detail["id"], status["id"]) == (str(order.id), str(order.id))
    assert "history" in status


def all_orders_call(*, token: str, query: str = "", tag: str = "") -> FastPathCall:
    """A call that lists all orders."""
    asked = request("GET", "/api/v1/admin/orders", token=token, query=query.encode())
    headers = {**asked.headers, "if-none-match": tag} if tag else asked.headers
    return accepted(replace(asked, headers=headers))


def test_staff_who_ask_for_the_same_share_one_page() -> None:
    owner, mug = make_customer(), make_product(stock=10)
    orders = [place((mug, 1), customer=owner) for _ in range(3)]
    tokens = [token_of(make_staff()), token_of(make_staff(is_superuser=True))]
    own = accepted(request("GET", "/api/v1/orders", token=token_of(owner)))
    [first] = answer_batch([all_orders_call(token=tokens[0])])
    assert first is not None

    with CaptureQueriesContext(connection) as captured:
        answers = answer_batch(
            [
                all_orders_call(token=tokens[0]),
                own,
                all_orders_call(token=tokens[1], tag=first.headers["ETag"]),
                all_orders_call(token=tokens[1]),
                all_orders_call(token=tokens[0], query="page_size=1"),
                all_orders_call(token=tokens[1], query="number=" + orders[1].number),
            ]
        )

    assert statuses(answers) == [200, 200, 304, 200, 200, 200]
    found = [json.loads(one.body or b'{"results":[]}')["results"] for one in answers if one]
    ids = [str(order.id) for order in reversed(orders)]
    assert [[order["id"] for order in page] for page in found] == [
        *(ids, ids, [], ids, ids[:1], ids[1:2])
    ]
    assert found[0] == found[3]
    assert "set_status:confirmed" in found[0][0]["allowed_actions"]
    assert "set_status:confirmed" not in found[1][0]["allowed_actions"]
    # Who asks; pages by place; the page of one number; items of all.
    assert len(captured) == 4


def test_customers_among_staff_are_left_to_django() -> None:
    place((make_product(), 1), customer=make_customer())
    tokens = [token_of(make_staff()), token_of(make_customer()), token_of(make_staff())]

    answers = answer_batch([all_orders_call(token=token) for token in tokens])

    assert statuses(answers) == [200, None, 200]


def test_a_bug_in_a_batch_of_reads_is_left_to_django() -> None:
    owner = make_customer()
    order = place((make_product(), 1), customer=owner)
    calls = [reading(order.id, token=token_of(owner)) for _ in range(2)]

    with patch("orders.api.reading.order_document", side_effect=ZeroDivisionError):
        assert statuses(answer_batch(calls)) == [None, None]
    assert statuses(answer_batch(calls)) == [200, 200]


@pytest.mark.django_db(transaction=True)
def test_a_read_survives_the_loss_of_its_connection() -> None:
    owner = make_customer()
    call = reading(place((make_product(), 1), customer=owner).id, token=token_of(owner))
    terminate_own_connection()

    assert statuses(answer_batch([call])) == [200]


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_idle_is_tried_out_before_a_batch_relies_on_it() -> None:
    connection.ensure_connection()
    terminate_own_connection()

    with patch("oms.fastpath.connections.TRUSTED_SECONDS", 0.0):
        prepare_connection()

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
