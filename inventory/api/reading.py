"""The handler of reading products: single ones and lists."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from inventory.api.page_copies import PageCopies, PageCopy, load_page
from inventory.api.serializers import product_document
from inventory.queries import (
    CATALOGUE,
    ProductRow,
    available_of_text,
    query_products,
    sees_inactive,
    visible_product,
)
from oms.api.handlers import ApiAnswer, ApiCall, Handler
from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.db.pipeline import Pipeline
from oms.http.etags import etag_for
from oms.http.payloads import encode

page_copies = PageCopies()


class ReadProducts(Handler):
    """Reads a "product" or a page of "products"."""

    cache = CATALOGUE

    def __init__(
        self, calls: Sequence[ApiCall], *, pipeline: Pipeline, cache_version: str | None = None
    ) -> None:
        super().__init__(calls, pipeline=pipeline, cache_version=cache_version)
        ids = {call.data for call in calls if call.name == "product"}
        self._products = query_products(ids, pipeline=pipeline) if ids else None

    def answers(self, calls: Sequence[ApiCall]) -> list[ApiAnswer]:
        found = self._products.rows() if self._products is not None else []
        products = {product.id: product for product in found}
        # By what is shown: calls for the same share everything.
        pages: dict[Any, PageCopy] = {}
        shown: dict[Any, str] = {}
        for call in calls:
            key = _key(call)
            if call.name == "products" and key not in pages:
                load = partial(load_page, call.data, actor=call.actor)
                pages[key] = page_copies.get(key, version=self.cache_version, load=load)
                shown[key] = pages[key].ids
            elif call.name == "product" and call.data in products:
                shown[key] = str(call.data)
        quantities = iter(available_of_text(",".join(filter(None, shown.values()))))
        available = {
            key: tuple(next(quantities) for _ in range(ids.count(",") + 1)) if ids else ()
            for key, ids in shown.items()
        }
        return [
            _page_answer(call, pages[_key(call)], available[_key(call)])
            if call.name == "products"
            else _product_answer(call, products.get(call.data), available.get(_key(call), ()))
            for call in calls
        ]


def etag_of_product(product: ProductRow, *, available: int, actor: Actor) -> str:
    """The ETag of a product: the available quantity changes without a new version, and staff see
    more."""
    variant = f"{available}-staff" if sees_inactive(actor) else str(available)
    return etag_for(product.version, variant=variant)


def _key(call: ApiCall) -> Any:
    return call.data if call.name == "product" else (call.data.key, sees_inactive(call.actor))


def _page_answer(call: ApiCall, page: PageCopy, available: tuple[int, ...]) -> ApiAnswer:
    answer = call.tagged(page.etag(available))
    if answer.status == HTTPStatus.OK:
        answer.body = page.body(available)
    return answer


def _product_answer(call: ApiCall, found: ProductRow | None, available: Sequence[int]) -> ApiAnswer:
    try:
        product = visible_product(found, actor=call.actor)
    except NotFound as error:
        return call.refused(error)
    [quantity] = available
    answer = call.tagged(etag_of_product(product, available=quantity, actor=call.actor))
    if answer.status == HTTPStatus.OK:
        document = product_document(
            product, available=quantity, for_staff=sees_inactive(call.actor)
        )
        answer.body = encode(document)
    return answer
