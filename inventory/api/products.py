"""Products as clients are shown them: one, and pages of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from inventory.api.serializers import product_document
from inventory.queries import ProductRow
from oms.api.keyset import Page
from oms.core.actor import Actor
from oms.http.etags import etag_for, etag_of_list


def etag_of_product(product: ProductRow, *, available: int, actor: Actor) -> str:
    """The tag of a product: what is available changes without a new version, and staff see more."""
    variant = f"{available}-staff" if actor.is_staff else str(available)
    return etag_for(product.version, variant=variant)


def etag_of_products(page: Page[ProductRow], *, available: Sequence[int], for_staff: bool) -> str:
    """The tag of the page; as that of one product it goes by versions and by what is available."""
    versions = [(product.id.int, product.version) for product in page.rows]
    return etag_of_list([for_staff, page.next, page.previous, versions, tuple(available)])


def product_documents(
    products: Iterable[ProductRow], *, available: Iterable[int], for_staff: bool
) -> list[dict[str, Any]]:
    """What is shown of the products, of each of which so many are available."""
    return [
        product_document(product, available=pieces, for_staff=for_staff)
        for product, pieces in zip(products, available, strict=True)
    ]
