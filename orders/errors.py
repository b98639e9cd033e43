"""Errors of orders."""

from __future__ import annotations

from collections.abc import Iterable

from oms.core.errors import Conflict


class InvalidTransition(Conflict):
    """The order's status doesn't allow this.

    Data: `current_status` (`status` is the HTTP status in problem documents), and `allowed`, the
    statuses to which the order may change.
    """

    code = "invalid_transition"

    def __init__(self, message: str = "", *, status: str, allowed: Iterable[str]) -> None:
        super().__init__(
            message, current_status=str(status), allowed=sorted(str(s) for s in allowed)
        )


class OrderNotEditable(Conflict):
    """Only pending, unpaid orders can be edited; staff correct the address until all is shipped."""

    code = "order_not_editable"


class ReferenceTaken(Conflict):
    """Another order of the customer has this reference, or had it."""

    code = "reference_taken"

    def __init__(self, reference: str) -> None:
        super().__init__(reference=reference)


class OrderNotDeletable(Conflict):
    """Only orders that are cancelled, expired, or pending and unpaid can be deleted."""

    code = "order_not_deletable"


class OrderNotPayable(Conflict):
    """Nothing is owed for the order, or it has ended."""

    code = "order_not_payable"


class TotalChanged(Conflict):
    """The order's total is not the expected one any more."""

    code = "total_changed"


class RejectedWithOthers(Conflict):
    """Not placed because another order in this request was rejected."""

    code = "rejected_with_others"


class NothingToShip(Conflict):
    """There are fewer items allocated than requested, or none.

    Data: `items`, each with `order_item_id`, what is `left` of it that can be shipped, what is
    `waiting` for stock, and `requested`, if a quantity was.
    """

    code = "nothing_to_ship"


class NothingToCancel(Conflict):
    """There are fewer items left to cancel than requested."""

    code = "nothing_to_cancel"


class NothingToReturn(Conflict):
    """There are fewer shipped items left to return than requested."""

    code = "nothing_to_return"


class NothingToRefund(Conflict):
    """There are fewer items left to refund than requested."""

    code = "nothing_to_refund"


class RestockAmbiguous(Conflict):
    """An amount doesn't say which items to restock: refund `items` instead."""

    code = "restock_ambiguous"


class OrderNotShippable(Conflict):
    """Only confirmed orders and orders in processing can be shipped."""

    code = "order_not_shippable"
