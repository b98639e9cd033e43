"""What the operations of orders refuse."""

from __future__ import annotations

from collections.abc import Iterable

from oms.core.errors import Conflict


class InvalidTransition(Conflict):
    """The order's status does not allow this.

    `status` is what it is now, `allowed` the statuses that it may go to.
    """

    code = "invalid_transition"

    def __init__(self, message: str = "", *, status: str, allowed: Iterable[str]) -> None:
        super().__init__(message, status=str(status), allowed=sorted(str(s) for s in allowed))


class OrderNotEditable(Conflict):
    """Only an order that is pending and unpaid can be edited."""

    code = "order_not_editable"


class OrderNotDeletable(Conflict):
    """Only an order that is cancelled, expired, or pending and unpaid can be deleted."""

    code = "order_not_deletable"


class OrderNotPayable(Conflict):
    """The order is not waiting for a payment."""

    code = "order_not_payable"


class NothingToShip(Conflict):
    """The shipment asks for more than is left to be shipped, or nothing is left."""

    code = "nothing_to_ship"


class OrderNotShippable(Conflict):
    """Only an order that is confirmed or in processing can be shipped."""

    code = "order_not_shippable"
