"""Concurrent changes of products."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from rest_framework.test import APIClient

from inventory.models import Product
from inventory.tests.test_writing_products import LAMP, URL, the_whole_shop
from oms.testing.factories import api_client, make_product, make_staff
from oms.testing.threads import at_once


@pytest.fixture
def staff(db: None) -> APIClient:
    return api_client(make_staff())


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize("tag", ['"v1"', '"v9"', '"v1-10"', 'W/"v2"', '"x"'])
def test_a_stale_change_is_rejected(staff: APIClient, method: str, tag: str) -> None:
    product = make_product()
    staff.patch(f"{URL}/{product.id}", {"name": "Second"})
    before = the_whole_shop()

    response = getattr(staff, method)(f"{URL}/{product.id}", LAMP, headers={"If-Match": tag})

    assert (response.status_code, response.json()["code"]) == (412, "precondition_failed")
    assert the_whole_shop() == before


@pytest.mark.parametrize("tag", ['"v1"', "*", '"v0", "v1"', "as it was read"])
def test_a_change_of_the_present_version_is_applied(staff: APIClient, tag: str) -> None:
    product = make_product()
    if tag == "as it was read":
        tag = staff.get(f"{URL}/{product.id}")["ETag"]

    response = staff.patch(f"{URL}/{product.id}", {"name": "Next"}, headers={"If-Match": tag})

    assert (response.status_code, response["ETag"]) == (200, '"v2"')


@pytest.mark.django_db(transaction=True)
def test_only_one_of_two_concurrent_products_gets_the_sku(monkeypatch: pytest.MonkeyPatch) -> None:
    make_product()  # the default location is there
    clients = [api_client(make_staff()), api_client(make_staff())]
    both_looked = threading.Barrier(2)
    save = Product.save

    def when_both_have_looked(product: Product, **options: Any) -> None:
        both_looked.wait(timeout=10)
        save(product, **options)

    monkeypatch.setattr(Product, "save", when_both_have_looked)
    statuses = at_once(
        lambda: clients[0].post(URL, LAMP).status_code,
        lambda: clients[1].post(URL, {**LAMP, "sku": "lamp-1"}).status_code,
    )

    assert sorted(statuses) == [201, 409]
    assert Product.objects.filter(sku__iexact="lamp-1").count() == 1


@pytest.mark.django_db(transaction=True)
def test_only_one_of_two_concurrent_changes_is_applied() -> None:
    product = make_product()
    clients = [api_client(make_staff()), api_client(make_staff())]

    def change(client: APIClient, name: str) -> int:
        headers = {"If-Match": '"v1"'}
        return client.patch(f"{URL}/{product.id}", {"name": name}, headers=headers).status_code

    statuses = at_once(lambda: change(clients[0], "One"), lambda: change(clients[1], "Other"))

    assert sorted(statuses) == [200, 412]
    product.refresh_from_db()
    assert product.version == 2
