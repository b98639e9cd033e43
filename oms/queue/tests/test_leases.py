"""Claiming rows: order, isolation, leases and fencing tokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db.models import F
from django.db.models.functions import Now

from oms.core.retries import RetryPolicy
from oms.queue import leases
from oms.queue.leases import (
    LEASE,
    claim_due,
    give_up,
    given_up,
    is_due,
    release_lease,
    renew_leases,
    reschedule,
    retry_policy,
    seconds_overdue,
)
from oms.testing.factories import make_product
from oms.testing.ordering import payment_of, place
from payments.models import Payment

pytestmark = pytest.mark.django_db

Payments = Callable[[int], list[Payment]]


@pytest.fixture
def payments() -> Payments:
    """Makes payments that became due a second after one another, the last one just now."""

    def made(count: int) -> list[Payment]:
        rows = [payment_of(place((make_product(), 1), token="tok_success")) for _ in range(count)]
        for number, row in enumerate(rows, start=1):
            due_at = Now() - timedelta(seconds=count - number)
            Payment.objects.filter(pk=row.pk).update(next_attempt_at=due_at)
        return rows

    return made


def interrupt(*rows: Payment) -> None:
    """Let their worker have died: their leases have expired, in this order."""
    for number, row in enumerate(rows):
        Payment.objects.filter(pk=row.pk).update(
            attempts=F("attempts") + 1,
            fencing_token=F("fencing_token") + 1,
            lease_until=Now() - timedelta(seconds=len(rows) - number),
        )


def claim(limit: int) -> list[Payment]:
    return claim_due(Payment, limit=limit)


def test_rows_that_failed_before_are_claimed_together_with_new_ones(payments: Payments) -> None:
    rows = payments(6)
    Payment.objects.filter(pk__in=[row.pk for row in rows[:4]]).update(attempts=3)

    assert [row.pk for row in claim(10)] == [row.pk for row in rows]


def test_half_of_a_backlogs_claim_is_the_newest_work(payments: Payments) -> None:
    rows = payments(10)

    first, second = claim(4), claim(4)

    assert [row.pk for row in first] == [rows[i].pk for i in (0, 1, 8, 9)]
    assert [row.pk for row in second] == [rows[i].pk for i in (2, 3, 6, 7)]


def test_of_rows_whose_last_attempt_did_not_end_one_is_added_to_a_claim_as_the_last(
    payments: Payments,
) -> None:
    rows = payments(5)
    interrupt(rows[0], rows[1])

    claims = [claim(2) for _ in range(3)]

    assert [[row.pk for row in claimed] for claimed in claims] == [
        [rows[2].pk, rows[4].pk, rows[0].pk],
        [rows[3].pk, rows[1].pk],
        [],
    ]


def test_a_claimed_row_is_claimed_again_only_when_its_lease_has_expired(
    payments: Payments,
) -> None:
    [row] = payments(1)

    [claimed] = claim(5)

    assert (claimed.attempts, claimed.fencing_token) == (1, 1)
    assert (
        LEASE - timedelta(seconds=1)
        < Payment.objects.annotate(left=F("lease_until") - Now()).get().left
        <= LEASE
        <= timedelta(seconds=20)
    )
    assert claim(5) == []
    assert not is_due(Payment)
    Payment.objects.update(lease_until=Now() - timedelta(seconds=3))
    assert is_due(Payment)
    assert 2 < seconds_overdue(Payment) < 10
    [again] = claim(5)
    assert (again.pk, again.attempts, again.fencing_token) == (row.pk, 2, 2)


def test_renewing_a_lease_keeps_the_row_but_not_one_that_another_worker_has(
    payments: Payments,
) -> None:
    payments(2)
    mine, lost = claim(5)
    Payment.objects.update(lease_until=Now() + timedelta(seconds=1))
    Payment.objects.filter(pk=lost.pk).update(fencing_token=F("fencing_token") + 1)

    renew_leases(Payment, [mine, lost])

    left = dict(Payment.objects.annotate(left=F("lease_until") - Now()).values_list("pk", "left"))
    assert left[mine.pk] > timedelta(seconds=10)
    assert left[lost.pk] < timedelta(seconds=2)


def test_renewing_does_not_bring_back_a_lease_that_has_ended(payments: Payments) -> None:
    payments(1)
    [row] = claim(5)
    release_lease(row, next_attempt_at=None)

    renew_leases(Payment, [row])

    assert Payment.objects.get().lease_until is None


def test_a_worker_that_lost_its_lease_writes_nothing(payments: Payments) -> None:
    payments(1)
    [late] = claim(5)
    Payment.objects.update(lease_until=Now() - timedelta(seconds=1))
    [successor] = claim(5)

    reschedule(late, error="too late")
    give_up(late, error="too late")
    assert not release_lease(late, last_error="too late")

    row = Payment.objects.get()
    assert row.last_error == ""
    assert row.lease_until is not None
    assert row.fencing_token == successor.fencing_token


def test_without_the_fencing_token_a_late_worker_overwrites_its_successor(
    payments: Payments,
) -> None:
    """The negative control of the test above: the same, with one token for all claims."""
    payments(1)
    [late] = claim(5)
    Payment.objects.update(lease_until=Now() - timedelta(seconds=1), fencing_token=0)
    claim(5)

    reschedule(late, error="too late")

    assert Payment.objects.get().last_error == "too late"


def test_a_row_waits_longer_after_each_attempt_until_it_is_given_up(payments: Payments) -> None:
    [row] = payments(1)
    policy = RetryPolicy(attempts=4, first_pause=10, longest_pause=30)
    pauses = []

    with patch.object(leases, "retry_policy", lambda model: policy):
        for _ in range(policy.attempts):
            Payment.objects.update(next_attempt_at=Now())
            [claimed] = claim(5)
            reschedule(claimed, error="no answer\x00")
            row = Payment.objects.annotate(now=Now()).get()
            if row.next_attempt_at is not None:
                pauses.append((row.next_attempt_at - row.now).total_seconds())

    for pause, longest in zip(pauses, (10, 20, 30), strict=True):
        assert 0.75 * longest <= pause <= longest
    assert (row.lease_until, row.last_error) == (None, "no answer")
    assert [row.pk for row in given_up(Payment)] == [row.pk]
    assert claim(5) == []


def test_a_row_that_kills_its_workers_is_given_up_and_uses_up_no_attempts_of_others(
    payments: Payments,
) -> None:
    killer, *others = payments(4)
    deaths = 0

    while not given_up(Payment).exists():
        claimed = claim(10)
        for row in claimed:
            if row.pk == killer.pk:  # Their worker dies, with what it had not released.
                interrupt(row)
                Payment.objects.filter(pk=row.pk).update(attempts=row.attempts)
                deaths += 1
            else:
                release_lease(row, next_attempt_at=None)
        for row in others:
            Payment.objects.filter(pk=row.pk).update(next_attempt_at=Now(), attempts=0)

    assert deaths == retry_policy(Payment).attempts
    assert [row.pk for row in given_up(Payment)] == [killer.pk]
    assert not Payment.objects.exclude(pk=killer.pk).filter(attempts__gt=0).exists()
