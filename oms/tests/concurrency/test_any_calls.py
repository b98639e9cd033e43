"""Random calls of several connections at once do what some order of them does in a model."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from datetime import timedelta
from itertools import permutations
from random import Random
from typing import Any

import pytest
from django.db import OperationalError

from oms.checks import reconcile
from oms.core import clock
from oms.core.errors import OperationError, Unavailable
from oms.testing.ordering import outcomes_at_once
from oms.tests.concurrency.order_model import Model, Refused
from oms.tests.concurrency.random_calls import Call, Shop
from orders.operations.cancelling import expire_orders

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROUNDS = 12


def after(model: Model, calls: Sequence[tuple[Call, Any]]) -> Model | None:
    """The model after the calls in that order, or None if it refuses others than the shop did."""
    model = deepcopy(model)
    for call, outcome in calls:
        is_refused = isinstance(outcome, OperationError)
        own = (outcome,) if call.reports else ()
        try:
            getattr(model, call.name)(*own, *call.arguments)
        except Refused:
            if not is_refused:
                return None
        else:
            if is_refused:
                return None
        model.settle_books()
    model.handle_captures()
    model.settle_books()
    return model


def explanation(
    done: Sequence[tuple[Call, Any]],
    *,
    before: Model,
    seen: tuple[object, ...],
    candidates: Sequence[Model | None],
) -> str:
    """What was called, and what there was before it, after it, and after it by the model."""
    calls = [f"{call.name}{call.arguments}: {outcome!r}" for call, outcome in done]
    views = [f"before: {before.view()}", f"seen: {seen}"]
    views += sorted({f"possible: {candidate.view()}" for candidate in candidates if candidate})
    return "\n".join([*calls, *views])


@pytest.mark.parametrize("seed", range(5))
def test_calls_at_once_do_what_some_order_of_them_does(seed: int) -> None:
    random = Random(seed)
    shop, model = Shop(random), Model(on_hand=[12, 12])
    for _ in range(ROUNDS):
        calls = shop.calls()
        outcomes = outcomes_at_once([call.run for call in calls])
        shop.work()
        # What had to wait too long for a lock or a connection was not done.
        done = [
            (call, outcome)
            for call, outcome in zip(calls, outcomes, strict=True)
            if not isinstance(outcome, (Unavailable, OperationalError))
        ]
        view = shop.view()
        candidates = [after(model, order) for order in permutations(done)]
        fitting = [candidate for candidate in candidates if candidate and candidate.view() == view]
        if not fitting:
            pytest.fail(explanation(done, before=model, seen=view, candidates=candidates))
        model = fitting[0]
        if random.random() < 0.2:
            expire_orders(at=clock.now() + timedelta(hours=2))
            model.expire()
            model.settle_books()
            shop.work()
            assert model.view() == shop.view()
        assert [finding for finding in reconcile(offline=True) if finding.total] == []
