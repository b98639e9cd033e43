"""The answer to a call with `dry_run=true`: what the call would do, of which nothing is done.

An operation whose documentation says `dry_run=True` takes the parameter; nothing else is needed.
It runs as always, in a transaction that is rolled back, and what it reports to
`oms.core.dry_runs` becomes `stock` and `money` of the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework.response import Response

from oms.core.dry_runs import DryRun, dry_run
from oms.core.money import ZERO, formatted
from oms.http.payloads import encode
from oms.http.queries import DRY_RUN, InvalidQuery, query_error
from oms.http.transactions import undone

# What objects that do not exist are known by, and what follows from that.
_UNKNOWN = frozenset({"id", "number", "refund_id"})
# Its members are the client's own, whatever their names.
_OF_CLIENTS = "metadata"


def check_dry_run(value: str | None) -> None:
    """Raise InvalidQuery unless the parameter is true, false or missing."""
    if value not in (None, "true", "false"):
        detail = "Use true or false."
        raise InvalidQuery([query_error(DRY_RUN, code="invalid_choice", detail=detail)])


def answer_dry_run(
    request: HttpRequest, answer: Callable[[], HttpResponseBase]
) -> HttpResponseBase:
    """What `answer` gives, undone; a success is 200 and shows what would have happened."""
    assert request.body is not None, "kept for another attempt"
    run = DryRun()

    def work() -> HttpResponseBase:
        nonlocal run
        with dry_run() as run:
            return answer()

    response = undone(request=request, work=work)
    if response.status_code >= 400:
        return response
    assert isinstance(response, HttpResponse)
    content = encode(response.data) if isinstance(response, Response) else response.content
    document = {**_without_ids(msgspec.json.decode(content)), **_effects(run)}
    return HttpResponse(encode(document), content_type="application/json")


def _effects(run: DryRun) -> dict[str, Any]:
    return {
        "stock": [
            {
                "product_id": product_id,
                "location": location,
                "on_hand_delta": on_hand,
                "reserved_delta": reserved,
            }
            for (product_id, location), (on_hand, reserved) in sorted(run.stock.items())
            if on_hand or reserved
        ],
        "money": _money(run),
    }


def _money(run: DryRun) -> dict[str, str] | None:
    """None where there is no money, or money of several currencies."""
    currencies = run.totals.keys() | run.refunds.keys()
    if len(currencies) != 1:
        return None
    [currency] = currencies
    return {
        "currency": currency,
        "total_delta": formatted(run.totals.get(currency, ZERO), currency),
        "refund": formatted(run.refunds.get(currency, ZERO), currency),
    }


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: member if name == _OF_CLIENTS else _without_ids(member)
            for name, member in value.items()
            if name not in _UNKNOWN
        }
    if isinstance(value, list):
        return [_without_ids(member) for member in value]
    return value
