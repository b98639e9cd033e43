"""Sizes, depths, odd paths and forged headers, of anonymous callers and before anything else."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from oms.events.models import Event
from oms.testing import factories
from oms.testing.factories import make_customer, permission_rows
from oms.tests.attacks.access import EXPECTED, Access
from oms.tests.attacks.shop import Shop, database_digest

pytestmark = pytest.mark.django_db

WRITES = sorted((o for o in EXPECTED if o[0] in ("POST", "PUT", "PATCH")), key=lambda o: o[::-1])
READS = [o for o in EXPECTED if o[0] == "GET" and EXPECTED[o].access is not Access.PAGE]
SMALL, LARGE = settings.API_BODY_LIMIT, settings.API_BULK_BODY_LIMIT
WITH_LARGE_BODIES = {
    *("orders-bulk", "admin-shipments-bulk", "stock-receipts", "stock-transfers", "stock-counts"),
}


def client() -> Any:
    return factories.client_class(raise_request_exception=False)


@pytest.mark.parametrize("operation", WRITES, ids=" ".join)
def test_a_body_that_is_too_large_is_refused_before_anything_is_looked_at(
    operation: tuple[str, str], shop: Shop
) -> None:
    request = EXPECTED[operation].request(shop)
    limit = LARGE if operation[1] in WITH_LARGE_BODIES else SMALL
    anonymous = shop.client("anonymous")
    anonymous.get("/health/ready")  # what the first request of a process loads does not count

    for content in (b" " * (limit + 1), b"[" * (limit + 1), b'"' + b"x" * limit + b'"'):
        begun = time.process_time()
        with CaptureQueriesContext(connection) as queries:
            answer = request.send(anonymous, *operation, body=content)
        assert answer.status_code == 413, answer.content
        assert answer.json()["code"] == "body_too_large"
        assert len(queries) == 0
        assert time.process_time() - begun < 0.25
    # It is the size that is refused.
    answer = request.send(anonymous, *operation, body=b" " * limit)
    assert answer.status_code != 413


@pytest.mark.usefixtures("both_fronts")
@pytest.mark.parametrize("announced", ["-1", "1e9", "0x10", "9" * 30, " 5", "5 5", "\u0665"])
def test_an_announced_length_that_is_none_is_refused(announced: str, shop: Shop) -> None:
    path = reverse("token")
    before = database_digest()

    answer = client().generic("POST", path, b"{}", CONTENT_LENGTH=announced)

    assert answer.status_code in (400, 413), answer.content
    assert database_digest() == before


@pytest.mark.usefixtures("both_fronts")
@pytest.mark.parametrize("caller", ["anonymous", "owner"])
def test_a_body_that_is_too_deep_is_refused(caller: str, shop: Shop) -> None:
    deepest = settings.API_JSON_DEPTH_LIMIT
    for name in ("token", "user-list", "orders", "orders-bulk"):
        for depth in (deepest + 1, 3_000, 30_000):
            for begin, end in ((b"[", b"]"), (b'{"a":', b"}")):
                body = begin * depth + b"1" + end * depth
                if len(body) > SMALL:
                    continue
                answer = (
                    EXPECTED["POST", name]
                    .request(shop)
                    .send(shop.client(caller), "POST", name, body=body)
                )
                signed_in_only = caller == "anonymous" and name.startswith("orders")
                assert answer.status_code == (401 if signed_in_only else 400), answer.content
                if not signed_in_only:
                    assert answer.json()["code"] == "too_deep"


PATHS = (
    "%00",
    "%2500",
    "%ed%a0%80",
    "%ff",
    "%2e%2e",
    "..%2f..",
    "%0d%0aX: 1",
    "'",
    "%",
    "x" * 5000,
)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_odd_paths_and_queries_are_never_an_error_of_ours(method: str, shop: Shop) -> None:
    before, boss = database_digest(), shop.client("boss")
    for route in ("product-detail", "order-status", "admin-payment-refunds", "user-detail"):
        [expected, *_] = [EXPECTED[o] for o in EXPECTED if o[1] == route]
        path = reverse(route, kwargs=dict(expected.request(shop).kwargs))
        for odd in PATHS:
            for url in (f"{path}/{odd}", f"{path}{odd}", path.replace("-7", odd, 1)):
                answer = boss.generic(method, url)
                assert answer.status_code in (400, 404, 405), (url, answer.content)
                assert answer["Content-Type"] == "application/problem+json"
    for odd in PATHS:
        for name in ("product-list", "orders", "admin-orders", "token"):
            answer = boss.generic(method, f"{reverse(name)}?search={odd}&{odd}=1")
            assert answer.status_code in (400, 405), (odd, answer.content)
    assert database_digest() == before


@pytest.mark.parametrize("operation", READS, ids=" ".join)
def test_parameters_that_a_read_does_not_have_are_refused(
    operation: tuple[str, str], shop: Shop
) -> None:
    _, route = operation
    if route in ("metrics", "schema", "docs", "redoc"):
        return
    request = EXPECTED[operation].request(shop)
    path = reverse(route, kwargs=dict(request.kwargs))
    for query in (
        *("customer=1", "user_id=1", "id__in=1", "customer__email=a", "password__startswith=a"),
        *("ordering=password", "ordering=customer__email", "page_size=0", "page_size=-1"),
        *("page_size=201", "page_size=1e3", "page_size=%d9%a1", "cursor=x", "cursor=", "limit=1"),
        *(
            "search=%00",
            "search=%ed%a0%80",
            "expand=password",
            "format=api",
            "page_size=1&page_size=2",
        ),
    ):
        answer = shop.client("boss").get(f"{path}?{query}")
        assert answer.status_code == 400, (query, answer.content)


# --- Headers --------------------------------------------------------------------------------------


def event_of_registering(**sent: Any) -> tuple[Any, Event]:
    """The answer to registering an account, and the event of it."""
    email = f"{Event.objects.count()}@example.com"
    body = {"email": email, "password": factories.PASSWORD, "full_name": "N"}
    answer = client().post(reverse("user-list"), body, **sent)
    return answer, Event.objects.filter(type="user.registered").latest("position")


FORWARDED = (
    "6.6.6.6",
    "6.6.6.6, 7.7.7.7",
    "127.0.0.1",
    "::1",
    "x" * 10_000,
    "' OR 1=1",
    "6.6.6.6,",
)


@pytest.mark.parametrize("forwarded", FORWARDED)
def test_without_proxies_nobody_says_where_he_comes_from(forwarded: str, shop: Shop) -> None:
    names = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "Client-IP", "Via")
    answer, event = event_of_registering(
        headers=dict.fromkeys(names, forwarded), REMOTE_ADDR="203.0.113.9"
    )

    assert answer.status_code == 201
    assert event.ip == "203.0.113.9"


@pytest.mark.parametrize("forwarded", FORWARDED)
def test_behind_a_proxy_it_alone_says_where_a_client_comes_from(
    forwarded: str, shop: Shop, settings: Any
) -> None:
    settings.TRUSTED_PROXIES = 1
    answer, event = event_of_registering(
        headers={"X-Forwarded-For": f"{forwarded}, 198.51.100.4"}, REMOTE_ADDR="10.0.0.1"
    )

    assert answer.status_code == 201
    assert event.ip == "198.51.100.4"


@pytest.mark.usefixtures("both_fronts")
def test_a_forged_address_is_no_way_past_a_limit(shop: Shop, settings: Any) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "general_address": "3/day"}
    statuses = [
        client().get(reverse("product-list"), headers={"X-Forwarded-For": f"6.6.6.{n}"}).status_code
        for n in range(4)
    ]

    assert statuses == [200, 200, 200, 429]
    # Behind a proxy the same header does name the client.
    settings.TRUSTED_PROXIES = 1
    named = {"X-Forwarded-For": "6.6.6.6, 198.51.100.4"}
    assert client().get(reverse("product-list"), headers=named).status_code == 200


@pytest.mark.usefixtures("both_fronts")
@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_no_header_changes_the_method(header: str, shop: Shop) -> None:
    before = database_digest()
    owner = shop.client("owner")
    path = reverse("order", kwargs={"id": shop.order.id})

    assert owner.get(path, headers={header: "DELETE"}).status_code == 200
    assert owner.post(path, {"_method": "DELETE"}, headers={header: "DELETE"}).status_code == 405
    assert owner.get(f"{path}?_method=DELETE").status_code == 400
    assert database_digest() == before
    assert owner.delete(path).status_code == 204


@pytest.mark.usefixtures("both_fronts")
@pytest.mark.parametrize("host", ["evil.example", "testserver:80@evil.example", "testserver.evil"])
def test_a_host_that_is_not_ours_is_refused_and_appears_nowhere(host: str, shop: Shop) -> None:
    answer = client().get(f"{reverse('product-list')}?page_size=1", headers={"Host": host})
    assert answer.status_code == 400
    assert b"evil" not in answer.content

    forwarded = {"X-Forwarded-Host": host, "X-Forwarded-Port": "1", "X-Original-URL": "/admin"}
    answer = client().get(f"{reverse('product-list')}?page_size=1", headers=forwarded)
    assert answer.status_code == 200
    assert b"evil" not in answer.content
    assert answer.json()["next"].startswith("http://testserver/")


@pytest.mark.usefixtures("both_fronts")
def test_the_scheme_is_believed_from_our_proxies_alone(shop: Shop) -> None:
    forged = {"X-Forwarded-Proto": "https"}
    path = f"{reverse('product-list')}?page_size=1"

    assert client().get(path, headers=forged).json()["next"].startswith("http://testserver/")


ODD_IDS = ("a b", "a\tb", "\u00e9", "<script>", '"', "a" * 129, "", "a,b", "a;b", "{{7*7}}", "%0a")


@pytest.mark.usefixtures("both_fronts")
@pytest.mark.parametrize("offered", ODD_IDS)
def test_an_odd_request_id_is_replaced(offered: str, shop: Shop) -> None:
    path = reverse("order", kwargs={"id": shop.stranger.id})
    answer = shop.client("owner").get(path, headers={"X-Request-ID": offered})

    assert answer.status_code == 404
    assert answer["X-Request-ID"] == answer.json()["request_id"] != offered
    assert answer["X-Request-ID"].isascii()
    sane = shop.client("owner").get(path, headers={"X-Request-ID": "a.B-1_2"})
    assert sane["X-Request-ID"] == "a.B-1_2"


@pytest.mark.parametrize("name", ["Idempotency-Key", "If-Match", "X-Request-Timeout-Ms"])
@pytest.mark.parametrize("value", ["\u00e9", "a" * 5_000, " ", "\x01", "'; DROP TABLE", '"', "-1"])
def test_odd_values_of_headers_are_never_an_error_of_ours(
    name: str, value: str, shop: Shop
) -> None:
    request = EXPECTED["PATCH", "order"].request(shop)

    answer = request.send(shop.client("owner"), "PATCH", "order", headers={name: value})

    assert answer.status_code in (200, 400, 412), answer.content


def test_a_customer_who_was_made_staff_has_the_rights_at_once_and_loses_them_at_once(
    shop: Shop,
) -> None:
    """Tokens carry no rights that outlive a change."""
    sam = make_customer()
    sam.user_permissions.set(permission_rows(["orders.view"]))
    caller = factories.api_client(sam)
    path = reverse("admin-orders")

    statuses = []
    for is_staff in (False, True, False):
        type(sam).objects.filter(pk=sam.pk).update(is_staff=is_staff)
        statuses.append(caller.get(path).status_code)

    assert statuses == [403, 200, 403]
    type(sam).objects.filter(pk=sam.pk).update(is_staff=True)
    sam.user_permissions.clear()
    assert caller.get(path).status_code == 403
