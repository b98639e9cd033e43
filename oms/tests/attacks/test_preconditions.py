"""If-Match and dry runs on every write.

If-Match is compared where there is a version and refused where there is none; a dry run asks for
the same permissions as the call, and does nothing.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import resolve, reverse

from oms.api.documentation import documentation_of, documented, takes_precondition
from oms.core.permissions import Permission
from oms.tests.attacks.access import EXPECTED, Access
from oms.tests.attacks.shop import Shop, database_digest, undone
from oms.tests.attacks.test_permissions import assert_denied, clerk_with

pytestmark = pytest.mark.django_db

WRITES = sorted(operation for operation in EXPECTED if operation[0] != "GET")
# Nobody has this version.
STALE = {"If-Match": '"v999"'}


def documentation(operation: tuple[str, str], shop: Shop) -> documented | None:
    """What the operation's view says of it."""
    method, route = operation
    match = resolve(reverse(route, kwargs=dict(EXPECTED[operation].request(shop).kwargs)))
    callback: Any = match.func
    name = (getattr(callback, "actions", None) or {}).get(method.lower(), method.lower())
    return documentation_of(getattr(callback.cls, name))


@pytest.mark.parametrize("operation", WRITES, ids=" ".join)
def test_a_write_compares_the_version_or_refuses_to(operation: tuple[str, str], shop: Shop) -> None:
    method, route = operation
    expected, before = EXPECTED[operation], database_digest()
    caller = "owner" if expected.access is Access.OWNER else "boss"

    answer = expected.request(shop).send(shop.client(caller), method, route, headers=STALE)

    problem = answer.json()
    if takes_precondition(documentation(operation, shop), method):
        assert (answer.status_code, problem["code"]) == (412, "precondition_failed")
        assert answer["ETag"].startswith(f'"v{problem["current_version"]}')
        # With the tag of the refusal it is done.
        with undone():
            again = {"If-Match": answer["ETag"]}
            done = expected.request(shop).send(shop.client(caller), method, route, headers=again)
            assert done.status_code == expected.status, done.content
    else:
        assert (answer.status_code, problem["code"]) == (400, "precondition_unsupported")
    assert database_digest() == before


@pytest.mark.parametrize("operation", WRITES, ids=" ".join)
def test_a_dry_run_does_nothing(operation: tuple[str, str], shop: Shop) -> None:
    method, route = operation
    said, expected, before = documentation(operation, shop), EXPECTED[operation], database_digest()
    request = expected.request(shop)
    path = f"{reverse(route, kwargs=dict(request.kwargs))}?dry_run=true"
    caller = "owner" if expected.access is Access.OWNER else "boss"
    key = {"Idempotency-Key": "dry"}

    answer = request.send(shop.client(caller), method, route, path=path, headers=key)

    assert database_digest() == before
    if said is None or not said.dry_run:
        assert answer.status_code == 400, answer.content
        return
    assert answer.status_code == 200, answer.content
    assert {"stock", "money"} <= answer.json().keys()
    for missing in expected.permissions:
        clerk = clerk_with(shop, set(Permission) - {missing})
        assert_denied(request.send(clerk, method, route, path=path), missing)
