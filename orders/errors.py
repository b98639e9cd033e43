"""What the operations of orders refuse."""

from __future__ import annotations

from collections.abc import Iterable

from oms.core.errors import Conflict


class InvalidTransition(Conflict):
    """The order's status does not allow this.

    `current_status` is what it is now, for `status` is HTTP's in a problem document; `allowed` are
    the statuses that it may go to.
    """

    code = "invalid_transition"

    def __init__(self, message: str = "", *, status: str, allowed: Iterable[str]) -> None:
        super().__init__(
            message, current_status=str(status), allowed=sorted(str(s) for s in allowed)
        )


class OrderNotEditable(Conflict):
    """Only an order that is pending and unpaid can be edited."""

    code = "order_not_editable"


class OrderNotDeletable(Conflict):
    """Only an order that is cancelled, expired, or pending and unpaid can be deleted."""

    code = "order_not_deletable"


class OrderNotPayable(Conflict):
    """The order is not waiting for a payment."""

    code = "order_not_payable"


class RejectedWithOthers(Conflict):
    """Nothing is wrong with this order, but another one of the request was refused."""

    code = "rejected_with_others"


class NothingToShip(Conflict):
    """The shipment asks for more than is left to be shipped, or nothing is left."""

    code = "nothing_to_ship"


class OrderNotShippable(Conflict):
    """Only an order that is confirmed or in processing can be shipped."""

    code = "order_not_shippable"
