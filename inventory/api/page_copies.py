"""Copies of pages of products, cached by each process without availability.

A copy is used while the cache version of the catalogue is the same, and for `SECONDS` at most.
Availability changes with each order, so it is read for each response. See
docs/decisions/0013-reads-and-caches.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection

from inventory.api.filters import ProductFilters
from inventory.api.serializers import product_document
from inventory.queries import ProductRow, ids_as_text, products_visible_to, sees_inactive
from oms.api.handlers import ListQuery
from oms.api.keyset import Page
from oms.core.actor import Actor
from oms.db.pipeline import rows_of
from oms.http.etags import etag_of_list
from oms.http.payloads import encode

# How long a copy is used though the version is the same: a process may die after a commit and
# before it has renewed the version.
SECONDS = 1.0
# Bytes of memory for copies; past that all are dropped.
_MOST_BYTES = 8_000_000
# What a copy of an empty page takes: the query and the objects.
_EMPTY = 5_500


@dataclass(kw_only=True, slots=True)
class PageCopy:
    """A page of products as it is answered, without availability."""

    page: Page[ProductRow]
    for_staff: bool
    ids: str
    # The answer's body with %d for each available quantity.
    template: bytes
    # The latest quantities, with the answer's ETag and body.
    _available: tuple[int, ...] | None = None
    _etag: str = ""
    _body: bytes = b""

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes: rows take about twice what the template does."""
        return _EMPTY + 4 * len(self.template)

    def etag(self, available: tuple[int, ...]) -> str:
        """The ETag of the page with these quantities: it depends on them and on versions."""
        if available != self._available:
            versions = [(product.id.int, product.version) for product in self.page.rows]
            parts = [self.for_staff, self.page.next, self.page.previous, versions, available]
            self._available, self._body = available, b""
            self._etag = etag_of_list(parts)
        return self._etag

    def body(self, available: tuple[int, ...]) -> bytes:
        """The answer's body with these quantities."""
        self.etag(available)
        if not self._body:
            self._body = self.template % available
        return self._body


def load_page(query: ListQuery, *, actor: Actor) -> PageCopy:
    """The page that `actor` sees, from the database."""
    products = ProductFilters.narrowed(products_visible_to(actor=actor), query.values)
    page = query.page.page(rows_of(ProductRow, query.page.of(products)))
    for_staff = sees_inactive(actor)
    documents = [
        product_document(product, available=0, for_staff=for_staff) for product in page.rows
    ]
    body = encode({**page.links(query.url, query.params), "results": documents})
    return PageCopy(
        page=page,
        for_staff=for_staff,
        ids=ids_as_text(product.id for product in page.rows),
        # Inside of a text its quotation marks would be escaped.
        template=body.replace(b"%", b"%%").replace(b'"available":0,', b'"available":%d,'),
    )


class PageCopies:
    """The pages that one process keeps."""

    def __init__(self) -> None:
        self._kept: dict[Any, tuple[str, float, PageCopy]] = {}
        self._size = 0

    def get(self, key: Any, *, version: str | None, load: Callable[[], PageCopy]) -> PageCopy:
        """The page with that key: a copy, or the result of `load`.

        `version` was read before this call, and so before `load` reads: what is kept with it has
        everything that was committed before it was made. Without one nothing is kept.
        """
        # Inside of a transaction a copy would hide the transaction's own changes.
        if version is None or connection.in_atomic_block:
            return load()
        now = time.monotonic()
        known = self._kept.get(key)
        if known is not None and known[0] == version and now - known[1] < SECONDS:
            return known[2]
        copy = load()
        self._keep(key, (version, now, copy))
        return copy

    def _keep(self, key: Any, entry: tuple[str, float, PageCopy]) -> None:
        before = self._kept.pop(key, None)
        self._size += entry[2].size - (before[2].size if before is not None else 0)
        if self._size > _MOST_BYTES:
            self._kept.clear()
            self._size = entry[2].size
        self._kept[key] = entry
