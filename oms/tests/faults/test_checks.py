"""The experiments' checks see violations: each is made once, in a real database and ledger."""

from __future__ import annotations

import io
import sqlite3
import subprocess
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Count

from notifications.models import Channel, DeliveryState, Notification
from oms.tests.faults.checks import (
    backlog,
    mails_written,
    paid_orders_kept,
    promises_kept,
    reconcile,
    settled,
    wait_for_background,
)
from oms.tests.faults.clients import Call, Record, Reply, order_body
from oms.tests.faults.experiments import Outcome
from oms.tests.faults.report import Row, failed
from oms.tests.faults.shop import Shop
from oms.tests.faults.table import EXPERIMENTS
from oms.tests.faults.weakened.weakened import WEAKNESSES
from payments.models import Payment

pytestmark = pytest.mark.django_db


class TestShop(Shop):
    """The demo shop in the tests' database, with a ledger and mails in `folder`."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        super().__init__(project=Path(), folder=folder)
        self.opened = datetime(2000, 1, 1, tzinfo=UTC)
        (folder / "sandbox").mkdir()
        (folder / "mail").mkdir()
        with closing(sqlite3.connect(folder / "sandbox" / "ledger.sqlite3")) as ledger:
            ledger.execute("CREATE TABLE charges (reference TEXT, status TEXT)")

    def rows(self, query: str, parameters: Any = None) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall()

    def manage(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        output = io.StringIO()
        try:
            call_command(*arguments, stdout=output)
        except CommandError as error:
            return subprocess.CompletedProcess(arguments, 1, output.getvalue(), str(error))
        return subprocess.CompletedProcess(arguments, 0, output.getvalue(), "")

    def charge(self, order_id: str) -> None:
        with closing(sqlite3.connect(self.folder / "sandbox" / "ledger.sqlite3")) as ledger:
            ledger.execute("INSERT INTO charges VALUES (?, 'captured')", [order_id])
            ledger.commit()


@pytest.fixture
def shop(demo_shop: None, tmp_path: Path) -> TestShop:
    return TestShop(tmp_path)


@pytest.fixture
def call(shop: TestShop) -> Call:
    """A call that placed an order, which is paid by one charge."""
    several = Payment.objects.values("order_id").annotate(number=Count("id")).filter(number__gt=1)
    payment = (
        Payment.objects.filter(status="captured")
        .exclude(order_id__in=several.values("order_id"))
        .first()
    )
    assert payment is not None
    call = Call(
        key=str(uuid4()),
        body=order_body(("some-product", 1)),
        token="",
        sent=time.monotonic(),
        reply=Reply.OK,
        order_id=str(payment.order_id),
    )
    _note(call.key, order_id=payment.order_id)
    shop.charge(str(payment.order_id))
    return call


def test_a_sound_shop_has_no_violations(shop: TestShop, call: Call) -> None:
    record = Record(calls=[call])

    assert promises_kept(shop, record) == []
    assert paid_orders_kept(shop, record) == []
    # The provider does not run here, which is a violation too.
    assert [violation.split(":")[1] for violation in reconcile(shop)] == [" provider_sandbox"]


def test_an_acknowledged_order_that_is_gone_is_found(shop: TestShop, call: Call) -> None:
    _note("", order_id=call.order_id)

    assert promises_kept(shop, Record(calls=[call])) == [
        f"order {call.order_id} was acknowledged and exists 0 times"
    ]


def test_an_order_of_a_refused_call_is_found(shop: TestShop, call: Call) -> None:
    call.reply, call.status = Reply.REFUSED, 409

    assert promises_kept(shop, Record(calls=[call])) == [
        f"call {call.key} was refused (409), its order exists"
    ]


@pytest.mark.parametrize("reply", [Reply.OK, Reply.UNKNOWN])
def test_a_call_that_made_two_orders_is_found(shop: TestShop, call: Call, reply: Reply) -> None:
    call.reply = reply
    other = Payment.objects.exclude(order_id=str(call.order_id)).values_list("order_id").first()
    assert other is not None
    _note(call.key, order_id=other[0])

    [violation] = promises_kept(shop, Record(calls=[call]))

    assert "2" in violation


def test_a_doubled_charge_is_found(shop: TestShop, call: Call) -> None:
    shop.charge(str(call.order_id))

    assert paid_orders_kept(shop, Record(calls=[call])) == [
        f"order {call.order_id}: the provider charged 2 times"
    ]


def test_a_payment_without_a_charge_is_found(shop: TestShop, call: Call) -> None:
    with closing(sqlite3.connect(shop.folder / "sandbox" / "ledger.sqlite3")) as ledger:
        ledger.execute("DELETE FROM charges")
        ledger.commit()

    assert paid_orders_kept(shop, Record(calls=[call])) == [
        f"order {call.order_id}: the provider charged 0 times"
    ]


def test_an_order_that_is_not_paid_is_found(shop: TestShop, call: Call) -> None:
    Payment.objects.filter(order_id=str(call.order_id)).update(
        status="unknown", captured_amount=0, refunded_amount=0
    )

    [violation] = paid_orders_kept(shop, Record(calls=[call]))

    assert violation.endswith("is unknown")


def test_a_mail_that_counts_as_sent_and_is_not_there_is_found(shop: TestShop) -> None:
    notification = Notification.objects.filter(channel=Channel.EMAIL).first()
    assert notification is not None
    Notification.objects.filter(channel=Channel.EMAIL).exclude(id=notification.id).delete()
    Notification.objects.update(state=DeliveryState.SENT)

    [violation] = mails_written(shop)
    (shop.folder / "mail" / "1.log").write_text(f"Message-ID: <{notification.id}@shop>")

    assert str(notification.id) in violation
    assert mails_written(shop) == []


def test_work_that_is_left_is_found(shop: TestShop, call: Call) -> None:
    before = backlog(shop).get("payments", 0)
    Payment.objects.filter(order_id=str(call.order_id)).update(next_attempt_at=datetime.now(UTC))

    for wait in (wait_for_background, settled):
        [violation] = wait(shop, seconds=0)
        assert f"'payments': {before + 1}" in violation


def test_what_reconcile_finds_is_a_violation(shop: TestShop) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE inventory_stocklevel SET on_hand = on_hand + 1")

    assert any("stock_levels_equal_movements" in violation for violation in reconcile(shop))


@pytest.mark.parametrize("weakness", WEAKNESSES)
def test_each_protection_is_there_to_be_taken_away(weakness: str) -> None:
    """It raises if what it replaces is called otherwise by now."""
    with WEAKNESSES[weakness]():
        pass


def test_what_was_skipped_fails_where_nothing_may_be() -> None:
    passed, skipped = (
        Row(experiment=EXPERIMENTS[0], outcome=outcome) for outcome in (Outcome(), None)
    )
    wrong = Row(experiment=EXPERIMENTS[0], outcome=Outcome(violations=["sold twice"]))

    assert failed([passed, skipped, wrong], may_skip=True) == [wrong]
    assert failed([passed, skipped, wrong], may_skip=False) == [skipped, wrong]


def _note(note: str, *, order_id: UUID | str | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orders_order SET note = %s WHERE id = %s", [note, order_id])
