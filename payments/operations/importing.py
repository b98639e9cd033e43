"""Imports from the providers' ledgers what no webhook has brought."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import structlog
from django.db import OperationalError

from oms.core.actor import system
from oms.core.errors import Unavailable
from oms.core.ids import as_uuid
from oms.db.transactions import durable
from payments.gateways.base import (
    ChargeStatus,
    Gateway,
    GatewayError,
    GatewayMisconfigured,
    GatewayUnknownOutcome,
    LedgerEntry,
)
from payments.gateways.registry import GATEWAYS
from payments.operations.outcomes import record_charge, record_refund
from payments.operations.provider_captures import record_foreign_charge
from payments.operations.provider_refunds import record_provider_refund
from payments.queries import (
    ChargeTotals,
    order_of_payment,
    payments_of_refunds,
    totals_of_charges,
)

log = structlog.get_logger(__name__)

_ACTOR = system("reconcile")
_BATCH = 1_000


@durable
def import_from_providers() -> list[str]:
    """Record the captures, refunds and disputes that we do not have; a sentence for each charge.

    A provider that cannot be reached is left out.
    """
    imported: list[str] = []
    for provider, gateway in GATEWAYS.items():
        try:
            imported += _import(provider, gateway)
        except GatewayError as error:
            log.warning("import_failed", provider=provider, error=str(error))
    return imported


def _import(provider: str, gateway: Gateway) -> Iterator[str]:
    entries = gateway.ledger()
    while batch := list(islice(entries, _BATCH)):
        ours = totals_of_charges([entry.key for entry in batch], provider=provider)
        for entry in batch:
            totals = ours.get((entry.key, entry.charge.currency), ChargeTotals())
            try:
                is_changed = _import_charge(provider, gateway, entry, totals)
            except (GatewayUnknownOutcome, GatewayMisconfigured, OperationalError, Unavailable):
                raise  # no fault of the charge
            except Exception as error:  # one that cannot be recorded must not stop the others
                log.exception("import_of_charge_failed", provider=provider, id=entry.key)
                yield f"charge {entry.key}: could not be recorded: {error}"
                continue
            if is_changed:
                log.info("reconcile_repaired", kind="charge", id=entry.key)
                yield f"charge {entry.key}: recorded as {provider} has it"


def _import_charge(provider: str, gateway: Gateway, entry: LedgerEntry, ours: ChargeTotals) -> bool:
    charge, is_changed = entry.charge, False
    if charge.status is ChargeStatus.CAPTURED and charge.captured_amount > ours.captured:
        payment_id = as_uuid(entry.key)
        if payment_id is not None and order_of_payment(payment_id) is not None:
            is_changed = record_charge(actor=_ACTOR, payment_id=payment_id, result=charge)
        else:
            is_changed = record_foreign_charge(
                actor=_ACTOR, provider=provider, key=entry.key, result=charge
            )
    if charge.refunded_amount > ours.refunded:
        refunds = gateway.refunds_of(provider_reference=charge.provider_reference)
        keys = {refund.key: as_uuid(refund.key) for refund in refunds}
        known = payments_of_refunds({id for id in keys.values() if id is not None})
        for refund in refunds:
            id = keys[refund.key]
            if id is not None and id in known:
                is_changed |= record_refund(actor=_ACTOR, refund_id=id, result=refund)
            else:
                is_changed |= record_provider_refund(actor=_ACTOR, provider=provider, result=refund)
    return is_changed
