"""Products on the hot lane: pages of them are kept as copies, what is available never is.

A copy is good for as long as the stamp of the catalogue is the same, which comes with the counting
of the limits, and for `SECONDS` at most. Orders change what is available a thousand times a second;
that is asked of the database for all callers of a batch at once. See docs/decisions/0013.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from django.db import connection

from inventory.api.filters import ProductFilters
from inventory.api.products import etag_of_product, etag_of_products, product_documents
from inventory.api.serializers import product_document
from inventory.queries import (
    ProductRow,
    available_of_text,
    ids_as_text,
    may_see,
    products_by_id,
    products_visible_to,
)
from oms.api.keyset import Page
from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.db.raw_queries import rows_of
from oms.fastpath.list_queries import ListAsked
from oms.fastpath.orders import answered
from oms.fastpath.types import FastPathAnswer, FastPathCall
from oms.http.payloads import encode

# For how long a copy is good though its stamp stands: a process may die after a commit and before
# it has renewed the stamp.
SECONDS = 1.0
# Bytes of memory that copies may take; when they take more all are forgotten.
_KEPT = 8_000_000
# What a copy takes though its page is empty: what was asked for, and its objects.
_EMPTY = 5_500


@dataclass(kw_only=True, slots=True)
class PageCopy:
    """A page of products as it is answered, but for what is available of each."""

    page: Page[ProductRow]
    for_staff: bool
    ids: str
    # The answer's body with %d for each number of pieces.
    template: bytes
    # The latest numbers of pieces, with the answer's tag and body.
    _available: tuple[int, ...] | None = None
    _etag: str = ""
    _body: bytes = b""

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes: rows do about twice what the template does."""
        return _EMPTY + 4 * len(self.template)

    def etag(self, available: tuple[int, ...]) -> str:
        """The tag of the page when so many pieces are available."""
        if available != self._available:
            self._available, self._body = available, b""
            self._etag = etag_of_products(self.page, available=available, for_staff=self.for_staff)
        return self._etag

    def body(self, available: tuple[int, ...]) -> bytes:
        """The answer when so many pieces are available."""
        self.etag(available)
        if not self._body:
            self._body = self.template % available
        return self._body


def load_page(asked: ListAsked, *, actor: Actor) -> PageCopy:
    """The page that `actor` asks for, from the database."""
    products = ProductFilters.narrowed(products_visible_to(actor=actor), asked.values)
    page = asked.page.page(rows_of(ProductRow, asked.page.of(products)))
    documents = product_documents(
        page.rows, available=[0] * len(page.rows), for_staff=actor.is_staff
    )
    body = encode({**page.links(asked.address, asked.params), "results": documents})
    return PageCopy(
        page=page,
        for_staff=actor.is_staff,
        ids=ids_as_text(product.id for product in page.rows),
        # Inside of a text its quotation marks would be escaped.
        template=body.replace(b"%", b"%%").replace(b'"available":0,', b'"available":%d,'),
    )


class Copies:
    """The pages that one process keeps."""

    def __init__(self) -> None:
        self._kept: dict[Any, tuple[str, float, PageCopy]] = {}
        self._size = 0

    def get(self, key: Any, *, stamp: str | None, load: Callable[[], PageCopy]) -> PageCopy:
        """The page called `key`: a copy, or what `load` gives.

        `stamp` was asked for before this call, and so before `load` reads: what is stored under it
        has everything that was committed before it was made. Without one nothing is kept.
        """
        # Inside of a transaction a copy would hide what that has changed.
        if stamp is None or connection.in_atomic_block:
            return load()
        now = time.monotonic()
        known = self._kept.get(key)
        if known is not None and known[0] == stamp and now - known[1] < SECONDS:
            return known[2]
        copy = load()
        self._keep(key, (stamp, now, copy))
        return copy

    def _keep(self, key: Any, entry: tuple[str, float, PageCopy]) -> None:
        before = self._kept.pop(key, None)
        self._size += entry[2].size - (before[2].size if before is not None else 0)
        if self._size > _KEPT:
            self._kept.clear()
            self._size = entry[2].size
        self._kept[key] = entry


_copies = Copies()


def browse(
    calls: Sequence[FastPathCall], *, stamp: str | None = None
) -> list[FastPathAnswer | None]:
    """The products, or lists of them, that the calls ask for.

    `stamp` is that of the catalogue, asked for just now; None if nobody knows it.
    """
    return answered(calls, by=lambda _: partial(_browse, stamp=stamp))


def _browse(
    asked: Sequence[tuple[FastPathCall, Actor]], *, stamp: str | None
) -> list[FastPathAnswer]:
    products = products_by_id({call.data for call, _ in asked if call.action == "product"})
    # By what is shown: calls that ask for the same share everything.
    pages: dict[Any, PageCopy] = {}
    shown: dict[Any, str] = {}
    for call, actor in asked:
        key = _key(call, actor)
        if call.action == "products" and key not in pages:
            load = partial(load_page, call.data, actor=actor)
            pages[key] = _copies.get(key, stamp=stamp, load=load)
            shown[key] = pages[key].ids
        elif call.action == "product" and call.data in products:
            shown[key] = str(call.data)
    texts = [ids for ids in shown.values() if ids]
    pieces = iter(available_of_text(",".join(texts)))
    available = {
        key: tuple(next(pieces) for _ in range(ids.count(",") + 1)) if ids else ()
        for key, ids in shown.items()
    }
    answers = []
    for call, actor in asked:
        key = _key(call, actor)
        if call.action == "products":
            answer = call.tagged(pages[key].etag(available[key]))
            if answer.status == HTTPStatus.OK:
                answer.body = pages[key].body(available[key])
        else:
            answer = _of_product(call, actor, products.get(call.data), available.get(key, ()))
        answers.append(answer)
    return answers


def _key(call: FastPathCall, actor: Actor) -> Any:
    if call.action == "product":
        return call.data
    return call.request.query, call.data.address, actor.is_staff


def _of_product(
    call: FastPathCall, actor: Actor, product: ProductRow | None, available: Sequence[int]
) -> FastPathAnswer:
    if product is None or not may_see(actor, product):
        return call.refused(NotFound())
    [pieces] = available
    answer = call.tagged(etag_of_product(product, available=pieces, actor=actor))
    if answer.status == HTTPStatus.OK:
        document = product_document(product, available=pieces, for_staff=actor.is_staff)
        answer.body = encode(document)
    return answer
