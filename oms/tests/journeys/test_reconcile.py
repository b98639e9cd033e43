"""Reconcile: each invariant is violated once, and the violation is found."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from oms.checks import CHECKS, reconcile, repair
from oms.core.actor import system
from oms.events.archiving import archive_month
from oms.events.models import ArchivedMonth, DeadLetter
from oms.events.partitions import month_of, partitioned_months
from oms.reconcile.checks import Finding
from oms.subscriptions import CONSUMERS
from orders.admin.history import history_lines
from orders.models import Order
from orders.queries import history_of
from payments.models import Payment, Refund
from reports.operations.reporting import close_days

pytestmark = pytest.mark.django_db

_RETURN = (
    "INSERT INTO orders_orderreturn (id, order_id, status, reason, created_at, updated_at)"
    " SELECT gen_random_uuid(), order_id, 'requested', '', now(), now()"
    " FROM orders_orderitem LIMIT 1"
)
_RETURN_ITEM = (
    "INSERT INTO orders_returnitem"
    " (id, order_return_id, order_item_id, quantity, quantity_received, reason)"
    " SELECT gen_random_uuid(), orders_orderreturn.id, item.id, {quantity}, {received}, ''"
    " FROM orders_orderreturn JOIN orders_orderitem AS item USING (order_id)"
)

# Each breaks one promise on a shop of sixty orders; the database itself refuses many of them, so
# its triggers are off and the constraint in the way is dropped, in the test's own transaction.
VIOLATIONS = {
    "stock_levels_equal_movements": "UPDATE inventory_stocklevel SET on_hand = on_hand + 1"
    " WHERE id = (SELECT id FROM inventory_stocklevel LIMIT 1)",
    "stock_movement_balances": "UPDATE inventory_stockmovement"
    " SET on_hand_after = on_hand_after + 1"
    " WHERE id = (SELECT id FROM inventory_stockmovement LIMIT 1)",
    "stock_within_bounds": "ALTER TABLE inventory_stocklevel DROP CONSTRAINT"
    " stock_reserved_within_on_hand; UPDATE inventory_stocklevel SET reserved = on_hand + 1"
    " WHERE id = (SELECT id FROM inventory_stocklevel LIMIT 1)",
    "nobody_waits_for_available_stock": "INSERT INTO inventory_waitingitem (id, product_id,"
    " order_id, place, quantity, created_at) SELECT gen_random_uuid(), product_id,"
    " gen_random_uuid(), gen_random_uuid(), 1, now() FROM inventory_stocklevel"
    " WHERE on_hand > reserved LIMIT 1",
    "only_open_orders_wait": "INSERT INTO inventory_waitingitem (id, product_id,"
    " order_id, place, quantity, created_at) SELECT gen_random_uuid(), item.product_id,"
    " orders_order.id, gen_random_uuid(), 1, now() FROM orders_order"
    " JOIN orders_orderitem AS item ON item.order_id = orders_order.id"
    " WHERE orders_order.status = 'cancelled' LIMIT 1",
    "quantity_waiting_by_queue": "UPDATE orders_orderitem SET quantity_waiting = quantity"
    " WHERE id = (SELECT id FROM orders_orderitem WHERE quantity_shipped = 0 LIMIT 1)",
    "stock_documents_equal_movements": "UPDATE inventory_stockmovement"
    " SET reference = 'receipt:' || id"
    " WHERE id = (SELECT id FROM inventory_stockmovement WHERE kind = 'receive' LIMIT 1)",
    "stock_documents_count_their_items": "INSERT INTO inventory_stockdocument (id, kind, reference,"
    " fingerprint, location_id, items_total, items_booked, completed_at, actor_label, created_at)"
    " SELECT gen_random_uuid(), 'receipt', 'DN-1', '', id, 1, 1, now(), 'x', now()"
    " FROM inventory_location LIMIT 1",
    "no_overdue_receipts": "INSERT INTO inventory_stockdocument (id, kind, reference,"
    " fingerprint, location_id, items_total, items_booked, actor_label, created_at)"
    " SELECT gen_random_uuid(), 'receipt', 'DN-2', '', id, 1, 0, 'x', now() - interval '1 hour'"
    " FROM inventory_location LIMIT 1",
    "reserved_stock_equals_open_orders": "UPDATE orders_order SET status = 'confirmed',"
    " cancelled_at = NULL, confirmed_at = placed_at WHERE id ="
    " (SELECT id FROM orders_order WHERE status = 'cancelled' LIMIT 1)",
    "order_stock_movements": "UPDATE inventory_stockmovement SET order_id = gen_random_uuid()"
    " WHERE id = (SELECT id FROM inventory_stockmovement WHERE kind = 'ship' LIMIT 1)",
    "order_totals": "UPDATE orders_order SET total = total + 1 WHERE id ="
    " (SELECT id FROM orders_order LIMIT 1)",
    "fulfilment_status_by_items": "UPDATE orders_order SET fulfilment_status = 'shipped' WHERE id ="
    " (SELECT id FROM orders_order WHERE status = 'delivered' LIMIT 1)",
    "shipment_quantities": "DELETE FROM orders_shipmentitem WHERE id ="
    " (SELECT id FROM orders_shipmentitem LIMIT 1)",
    "cancelled_quantities": "ALTER TABLE orders_orderitem"
    " DROP CONSTRAINT order_item_total_is_product; UPDATE orders_orderitem"
    " SET quantity_cancelled = 1 WHERE id = (SELECT id FROM orders_orderitem"
    " WHERE quantity_shipped + quantity_waiting < quantity LIMIT 1)",
    "returned_quantities": f"{_RETURN}; {_RETURN_ITEM.format(quantity='quantity + 1', received=0)}",
    "return_receipts": f"{_RETURN}; {_RETURN_ITEM.format(quantity=1, received=1)}",
    "refunded_items": "INSERT INTO orders_refunditem"
    " (id, refund_id, order_item_id, quantity, quantity_restocked)"
    " SELECT gen_random_uuid(), refund.id, item.id, item.quantity + 1, 0"
    " FROM payments_refund AS refund JOIN orders_orderitem AS item USING (order_id)"
    " WHERE refund.status <> 'failed' LIMIT 1",
    "order_timestamps": "UPDATE orders_order SET expires_at = NULL WHERE id ="
    " (SELECT id FROM orders_order WHERE status = 'pending' LIMIT 1)",
    "no_overdue_orders": "UPDATE orders_order SET expires_at = now() - interval '41 minutes'"
    " WHERE id = (SELECT id FROM orders_order WHERE status = 'pending' LIMIT 1)",
    "captured_as_requested": "UPDATE payments_payment SET captured_amount = captured_amount + 0.01"
    " WHERE id = (SELECT id FROM payments_payment WHERE status = 'captured' LIMIT 1)",
    "order_not_overpaid": "INSERT INTO payments_payment SELECT (jsonb_populate_record(payment,"
    " jsonb_build_object('id', gen_random_uuid()))).* FROM payments_payment AS payment"
    " WHERE status = 'captured' AND refunded_amount = 0 LIMIT 1",
    "refunds_within_captured": "ALTER TABLE payments_payment DROP CONSTRAINT"
    " payment_each_refunded_within_captured; UPDATE payments_payment"
    " SET refunded_amount = captured_amount + 1 WHERE id ="
    " (SELECT id FROM payments_payment WHERE status = 'captured' LIMIT 1)",
    "refunded_amounts": "UPDATE payments_payment SET refunded_amount = 0.01 WHERE id ="
    " (SELECT id FROM payments_payment WHERE status = 'captured' LIMIT 1)",
    "payments_of_orders": "UPDATE payments_payment SET currency = 'USD' WHERE id ="
    " (SELECT id FROM payments_payment WHERE status = 'captured' LIMIT 1)",
    "payment_status_by_payments": "UPDATE orders_order SET payment_status = 'unpaid'"
    " WHERE id = (SELECT id FROM orders_order WHERE payment_status = 'paid' LIMIT 1)",
    "paid_orders_confirmed": "UPDATE payments_payment SET refunded_amount = 0 WHERE id ="
    " (SELECT payment.id FROM payments_payment AS payment JOIN orders_order"
    " ON orders_order.id = order_id WHERE orders_order.status = 'cancelled'"
    " AND payment.status = 'captured' LIMIT 1)",
    "no_abandoned_payments": "UPDATE payments_payment SET next_attempt_at = NULL WHERE id ="
    " (SELECT id FROM payments_payment WHERE status = 'unknown' LIMIT 1)",
    "history_starts_with_placed": "DELETE FROM events_event WHERE position ="
    " (SELECT position FROM events_event WHERE type = 'order.placed' LIMIT 1)",
    "history_transitions_allowed": "DELETE FROM events_event WHERE position ="
    " (SELECT position FROM events_event WHERE type = 'order.processing_started' LIMIT 1)",
    "history_matches_status": "UPDATE orders_order SET status = 'processing' WHERE id ="
    " (SELECT id FROM orders_order WHERE status = 'confirmed' LIMIT 1)",
    "payments_logged_once": "DELETE FROM events_event WHERE position ="
    " (SELECT position FROM events_event WHERE type = 'payment.captured' LIMIT 1)",
    "order_payment_events_once": "DELETE FROM events_event WHERE position ="
    " (SELECT position FROM events_event WHERE type = 'order.paid' LIMIT 1)",
    # As if an earlier transaction had written the events, so that they are readable.
    "consumers_up_to_date": "UPDATE events_event SET transaction = '3';"
    " UPDATE events_consumeroffset SET transaction = '0', position = 0",
    "consumer_offsets_of_this_server": "UPDATE events_consumeroffset"
    " SET transaction = '4294967296999'",
    "no_dead_letters": "INSERT INTO events_parkedevent"
    " (consumer, event_id, attempts, next_attempt_at, last_error, created_at)"
    " SELECT 'notifications', id, 8, NULL, 'KeyError()', now() FROM events_event LIMIT 1",
    "notifications_once_per_event": "DELETE FROM notifications_notification WHERE id ="
    " (SELECT id FROM notifications_notification WHERE kind = 'order_paid' LIMIT 1)",
    "notifications_have_events": "UPDATE notifications_notification"
    " SET event_id = gen_random_uuid() WHERE id ="
    " (SELECT id FROM notifications_notification LIMIT 1)",
    "final_reports_equal_log": "UPDATE reports_dailyreport SET data ="
    " jsonb_set(data, '{totals,orders_placed}', '9999') WHERE id ="
    " (SELECT id FROM reports_dailyreport LIMIT 1)",
    "acknowledged_orders_exist": "INSERT INTO http_idempotencyrecord"
    " (scope, fingerprint, status, headers, body)"
    " VALUES (gen_random_uuid(), '', 207, '{}', convert_to("
    '\'{"results": [{"status": 201, "order": {"id": "00000000-0000-7000-8000-000000000000"}}]}\','
    " 'UTF8'))",
}


def unguarded(sql: str) -> None:
    """Run the statements of `sql` past the triggers."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in sql.split("; "):
            cursor.execute(statement)
        cursor.execute("SET LOCAL session_replication_role = origin")


def finding(name: str) -> Finding:
    return next(found for found in reconcile(offline=True) if found.name == name)


def test_there_is_a_violation_for_every_check() -> None:
    assert set(VIOLATIONS) == {check.name for check in CHECKS}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_is_found(demo_shop: None, name: str) -> None:
    close_days(now=datetime.now(UTC))
    assert finding(name).holds

    unguarded(VIOLATIONS[name])

    found = finding(name)
    assert found.total >= 1
    assert all(violation.id and violation.detail for violation in found.violations)


def test_a_violation_names_the_object_and_the_error(demo_shop: None) -> None:
    payment = Payment.objects.filter(status="unknown").first()
    assert payment is not None
    Payment.objects.filter(pk=payment.pk).update(next_attempt_at=None)

    [violation] = finding("no_abandoned_payments").violations

    assert violation.id == str(payment.id)
    assert "unknown after 1 attempts, given up: ReadTimeout" in violation.detail


def test_an_unprocessed_payment_event_is_no_violation(demo_shop: None) -> None:
    unguarded(
        "UPDATE orders_order SET payment_status = 'processing' WHERE id ="
        " (SELECT id FROM orders_order WHERE payment_status = 'paid' LIMIT 1);"
        " UPDATE events_consumeroffset SET transaction = '0', position = 0"
        " WHERE consumer = 'orders'"
    )

    assert finding("payment_status_by_payments").holds


def test_a_stored_report_that_is_wrong_is_found(demo_shop: None) -> None:
    close_days(now=datetime.now(UTC))
    assert finding("final_reports").holds
    unguarded(
        "UPDATE reports_dailyreport SET data ="
        " jsonb_set(data, '{totals,orders_confirmed}', '9999') WHERE id ="
        " (SELECT id FROM reports_dailyreport LIMIT 1)"
    )

    [violation] = finding("final_reports").violations

    assert "orders_confirmed: stored 9999" in violation.detail


def test_repair_retries_abandoned_work(demo_shop: None) -> None:
    unguarded(VIOLATIONS["no_abandoned_payments"])
    unguarded(VIOLATIONS["no_dead_letters"])
    Refund.objects.filter(status="requested").update(next_attempt_at=None)
    stuck = Payment.objects.get(status="unknown", next_attempt_at=None)

    repaired = repair()

    assert finding("no_abandoned_payments").holds
    assert finding("no_dead_letters").holds
    assert f"payment {stuck.id}: unknown, will be retried" in repaired
    assert len(repaired) == 2 + Refund.objects.filter(status="requested").count()
    assert DeadLetter.objects.get().next_attempt_at is not None
    assert repair() == []


@pytest.mark.parametrize("name", ["stock_levels_equal_movements", "history_transitions_allowed"])
def test_repair_leaves_everything_else_to_a_person(demo_shop: None, name: str) -> None:
    unguarded(VIOLATIONS[name])

    assert repair() == []
    assert finding(name).total >= 1


def test_the_command_succeeds_on_a_sound_shop(
    demo_shop: None, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("reconcile", offline=True)

    out = " ".join(capsys.readouterr().out.split())
    assert "no violations, 1 skipped" in out


def test_the_command_fails_and_reports_the_violations_as_json(
    demo_shop: None, capsys: pytest.CaptureFixture[str]
) -> None:
    unguarded(VIOLATIONS["order_totals"])

    with pytest.raises(CommandError, match="order_totals") as failure:
        call_command("reconcile", offline=True, format="json")

    assert failure.value.returncode == 1
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["clean"] is False
    [broken] = [check for check in said["checks"] if check["name"] == "order_totals"]
    assert broken["violations"] == 1
    assert broken["shown"][0]["id"]


def test_a_violation_of_many_shows_the_first_and_counts_all(demo_shop: None) -> None:
    for _ in range(25):
        unguarded(
            "INSERT INTO events_event (id, type, object_type, object_id, data, actor_kind,"
            " actor_label, request_id, occurred_at) SELECT gen_random_uuid(), 'order.edited',"
            f" 'order', '{uuid4()}', '{{}}', 'system', 'test', '', now()"
        )

    found = finding("history_starts_with_placed")

    assert found.total == 25
    assert len(found.violations) == 20


def archive_all(folder: Path) -> None:
    this_month = month_of(datetime.now(UTC))
    for month in [month for month in partitioned_months() if month <= this_month]:
        archive_month(
            month=month, folder=folder, consumers=[consumer.name for consumer in CONSUMERS]
        )


def test_a_shop_whose_log_is_in_the_archive_is_sound(demo_shop: None, tmp_path: Path) -> None:
    archive_all(tmp_path)

    assert [found.name for found in reconcile(offline=True) if not found.holds] == []
    order = Order.objects.latest("id")
    assert [line.title for line in history_lines(order.id)] == ["Archived"]
    assert history_of(order.id, actor=system("tests")) == []


def test_without_the_archives_record_missing_events_are_found(
    demo_shop: None, tmp_path: Path
) -> None:
    """The negative control."""
    archive_all(tmp_path)
    ArchivedMonth.objects.all().delete()

    assert not finding("history_starts_with_placed").holds
    assert not finding("payments_logged_once").holds
    assert not finding("notifications_have_events").holds
