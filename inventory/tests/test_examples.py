"""The examples of the API's document are true."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.serializers import BaseSerializer

from inventory.api import document_examples, examples
from inventory.api.document_serializers import (
    CountDetailOutput,
    CountInput,
    CountOutput,
    ReceiptDetailOutput,
    ReceiptInput,
    ReceiptOutput,
    TransferDetailOutput,
    TransferInput,
    TransferOutput,
)
from inventory.api.serializers import (
    AdjustmentInput,
    AvailabilityOutput,
    MovementOutput,
    NewProductInput,
    ProductInput,
    ProductOutput,
    StaffInventoryOutput,
    StaffProductOutput,
)


@pytest.mark.parametrize(
    ("serializer", "example", "partial"),
    [
        (NewProductInput, examples.NEW_PRODUCT, False),
        (ProductInput, examples.PRODUCT_REPLACEMENT, False),
        (ProductInput, examples.PRODUCT_CHANGE, True),
        (AdjustmentInput, examples.ADJUSTMENT, False),
        (ReceiptInput, document_examples.NEW_RECEIPT, False),
        (TransferInput, document_examples.NEW_TRANSFER, False),
        (CountInput, document_examples.NEW_COUNT, False),
    ],
)
def test_an_example_of_a_body_is_taken(
    serializer: type[BaseSerializer[Any]], example: dict[str, Any], partial: bool
) -> None:
    body = serializer(data=example, partial=partial)

    assert body.is_valid(), body.errors


@pytest.mark.parametrize(
    ("serializer", "example"),
    [
        (ProductOutput, examples.PRODUCT),
        (StaffProductOutput, examples.STAFF_PRODUCT),
        (StaffInventoryOutput, examples.INVENTORY),
        (MovementOutput, examples.MOVEMENT),
        (AvailabilityOutput, examples.AVAILABILITY),
        (ReceiptOutput, document_examples.RECEIPT),
        (ReceiptDetailOutput, document_examples.RECEIPT_DETAIL),
        (TransferOutput, document_examples.TRANSFER),
        (TransferDetailOutput, document_examples.TRANSFER_DETAIL),
        (CountOutput, document_examples.COUNT),
        (CountDetailOutput, document_examples.COUNT_DETAIL),
    ],
)
def test_an_example_of_an_answer_has_its_members(serializer: Any, example: dict[str, Any]) -> None:
    assert set(serializer().fields) == set(example)
