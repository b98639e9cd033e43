"""Orders, payments, cancellations, returns and refunds at chosen times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import count
from uuid import UUID

from inventory.models import Product, StockLevel, StockMovement
from oms.core import clock
from oms.testing.factories import make_customer, make_product
from oms.users.models import User
from orders.models import Cancellation, CancellationItem, Order, OrderItem
from payments.models import Payment, Refund

_numbers = count(1)


@dataclass(kw_only=True)
class Books:
    """Writes rows directly, because each has its own time; operations use the current time."""

    customer: User = field(default_factory=make_customer)
    products: dict[str, Product] = field(default_factory=dict)

    def product(self, sku: str, price: str) -> Product:
        """The product `sku`, created by the first call."""
        if sku not in self.products:
            self.products[sku] = make_product(
                sku=sku, name=f"The {sku}", price=Decimal(price), stock=0
            )
        return self.products[sku]

    def order(
        self,
        *,
        placed: datetime,
        confirmed: datetime | None = None,
        cancelled: datetime | None = None,
        deleted: datetime | None = None,
        lines: Sequence[tuple[str, int, str]] = (("MUG", 1, "10.00"),),
        currency: str = "EUR",
    ) -> Order:
        """An order of `lines`: SKU, quantity and unit price."""
        status = "cancelled" if cancelled else "confirmed" if confirmed else "pending"
        totals = [Decimal(price) * quantity for _, quantity, price in lines]
        order = Order.objects.create(
            number=f"20260101-{next(_numbers):06}",
            customer=self.customer,
            status=status,
            currency=currency,
            total=sum(totals, Decimal(0)),
            shipping_address={},
            placed_at=placed,
            confirmed_at=confirmed,
            cancelled_at=cancelled,
            deleted_at=deleted,
            updated_at=placed,
        )
        OrderItem.objects.bulk_create(
            OrderItem(
                order=order,
                product=self.product(sku, price),
                position=position,
                sku=sku,
                name=f"The {sku}",
                quantity=quantity,
                unit_price=Decimal(price),
                line_total=total,
            )
            for position, ((sku, quantity, price), total) in enumerate(
                zip(lines, totals, strict=True)
            )
        )
        return order

    def payment(self, order: Order, *, amount: Decimal | str, captured: datetime) -> Payment:
        """A captured payment of the order."""
        return Payment.objects.create(
            order_id=order.id,
            provider="sandbox",
            token="tok_success",
            amount=Decimal(amount),
            currency=order.currency,
            status="captured",
            captured_amount=Decimal(amount),
            captured_at=captured,
        )

    def cancel(self, order: Order, *, at: datetime) -> None:
        """Cancel the whole order."""
        order.status, order.cancelled_at = "cancelled", at
        order.save()

    def cancel_part(self, order: Order, sku: str, quantity: int, *, at: datetime) -> None:
        """Cancel some units of one line."""
        item = order.items.get(sku=sku)
        amount = quantity * item.unit_price
        item.quantity_cancelled += quantity
        item.line_total -= amount
        item.save()
        order.total -= amount
        order.save()
        part = Cancellation.objects.create(
            order=order, amount=amount, currency=order.currency, created_at=at
        )
        CancellationItem.objects.create(cancellation=part, order_item=item, quantity=quantity)

    def restock(self, order: Order, sku: str, quantity: int, *, at: datetime) -> None:
        """Units of one line return to the stock."""
        product = self.products[sku]
        with clock.stopped_at(at):
            StockMovement.objects.create(
                product=product,
                location=StockLevel.objects.get(product=product).location,
                kind="return",
                on_hand_delta=quantity,
                on_hand_after=quantity,
                reserved_after=0,
                reference=f"restock:{at}",
                order_id=order.id,
                actor_label="tests",
                created_at=at,
            )

    def refund(
        self, order: Order, *, amount: str, succeeded: datetime | None, status: str = "succeeded"
    ) -> UUID:
        """A refund of the order's payment, by default one of its total; returns its id."""
        payment = Payment.objects.filter(order_id=order.id).first() or self.payment(
            order, amount=order.total, captured=order.confirmed_at or order.placed_at
        )
        refund = Refund.objects.create(
            payment=payment,
            order_id=order.id,
            amount=Decimal(amount),
            currency=order.currency,
            status=status,
            succeeded_at=succeeded,
        )
        return refund.id
