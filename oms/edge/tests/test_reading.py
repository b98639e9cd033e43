"""Batches of reads: a few statements for all, and a failure is nobody's refusal."""

from __future__ import annotations

import json
from unittest.mock import patch

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oms.edge import reading as lane_reading
from oms.edge.connections import prepare_connection
from oms.edge.lane import answer
from oms.edge.tests.calls import (
    accepted,
    reading,
    request,
    statuses,
    terminate_own_connection,
    token_of,
)
from oms.testing.factories import make_customer, make_product
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
            answers = answer(calls[:size])
        assert statuses(answers) == [200] * size
        return len(captured)

    assert statements(1) == statements(10) == statements(50)


def test_each_caller_of_a_batch_gets_his_own_order() -> None:
    owners = [make_customer() for _ in range(3)]
    orders = [place((make_product(), 1), customer=owner) for owner in owners]
    tokens = [token_of(owner) for owner in owners]
    own = [reading(order.id, token=token) for order, token in zip(orders, tokens, strict=True)]
    foreign = reading(orders[0].id, token=tokens[1])

    answers = answer([*own, foreign])

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

    shown = [json.loads(one.body) for one in answer(calls) if one]

    own, detail, none, status = shown
    assert own["results"] == [detail]
    assert none["results"] == []
    assert (detail["id"], status["id"]) == (str(order.id), str(order.id))
    assert "history" in status


def test_a_bug_in_a_batch_of_reads_is_left_to_django() -> None:
    owner = make_customer()
    order = place((make_product(), 1), customer=owner)
    calls = [reading(order.id, token=token_of(owner)) for _ in range(2)]

    with patch.object(lane_reading, "order_document", side_effect=ZeroDivisionError):
        assert statuses(answer(calls)) == [None, None]
    assert statuses(answer(calls)) == [200, 200]


@pytest.mark.django_db(transaction=True)
def test_a_read_survives_the_loss_of_its_connection() -> None:
    owner = make_customer()
    call = reading(place((make_product(), 1), customer=owner).id, token=token_of(owner))
    terminate_own_connection()

    assert statuses(answer([call])) == [200]


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_idle_is_tried_out_before_a_batch_relies_on_it() -> None:
    connection.ensure_connection()
    terminate_own_connection()

    with patch("oms.edge.connections._TRUSTED", 0.0):
        prepare_connection()

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
