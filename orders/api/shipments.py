"""The API of shipments."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from io import StringIO
from typing import IO, Any

from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.fields import CharField, IntegerField
from oms.api.parsers import JSONParser
from oms.api.permissions import IsCustomer, IsStaff
from oms.api.serializers import InputSerializer, OutputSerializer
from oms.api.views import ApiViewSet
from oms.core.errors import Invalid, OperationError, PermissionDenied, StaleVersion
from oms.http.problems import problem_document, status_of
from orders.api import examples
from orders.api.inputs import EachByItself, Lines, ShipmentCorrectionInput
from orders.api.outputs import ShipmentOutput
from orders.operations.shipments import (
    OrderShipment,
    correct_shipment,
    deliver_shipment,
    ship_orders,
)
from orders.queries import find_shipments

_MAX_ROWS = 200
_COLUMNS = ("order_number", "carrier", "tracking_number")
_CSV: Mapping[str, Any] = {
    "type": "string",
    "description": (
        f"CSV (RFC 4180) in UTF-8 with at most {_MAX_ROWS} rows and the columns"
        f" {', '.join(f'`{name}`' for name in _COLUMNS)} in any order; only the first is required."
    ),
    "examples": [
        "order_number,carrier,tracking_number\r\n"
        f"{examples.ORDER['number']},DHL,JD014600003828392837\r\n"
    ],
}


class OrderShipmentInput(InputSerializer):
    order_number = CharField(max_length=20)
    carrier = CharField(max_length=100, allow_blank=True, default="")
    tracking_number = CharField(max_length=100, allow_blank=True, default="")


class ShipmentsInput(InputSerializer):
    """Shipments of everything that is left of their orders."""

    shipments: Lines = EachByItself(child=OrderShipmentInput(), min_length=1, max_length=_MAX_ROWS)


class ShipmentResultOutput(OutputSerializer):
    """The result of one row: the `shipment`, or the `problem`."""

    status = IntegerField(min_value=200, max_value=599)
    shipment = ShipmentOutput(required=False)
    problem = serializers.DictField(required=False, help_text="A problem document (RFC 9457).")


class ShipmentsOutput(OutputSerializer):
    """The results in the order of the rows."""

    results = ShipmentResultOutput(many=True)


class ShipmentCSVParser(BaseParser):
    """CSV (RFC 4180) with the columns of a row, separated by commas or semicolons."""

    media_type = "text/csv"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            text = stream.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ParseError("The CSV is not UTF-8.") from error
        header = text.partition("\n")[0]
        delimiter = ";" if ";" in header else ","
        rows = csv.DictReader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            columns = rows.fieldnames or ()
            if len(columns) > len(set(columns)) or not set(columns) <= set(_COLUMNS):
                raise ParseError(f"The first line names columns of {', '.join(_COLUMNS)}.")
            shipments = [
                {name: cell for name, cell in row.items() if cell is not None} for row in rows
            ]
        except csv.Error as error:
            raise ParseError(f"Line {rows.reader.line_num} is not CSV: {error}.") from error
        if any(None in row for row in shipments):
            raise ParseError("A line has more cells than the first one.")
        return {"shipments": shipments}


class OrderShipments(ApiViewSet):
    """The shipments of one order."""

    permission_classes = [IsCustomer]

    @documented(
        summary="List an order's shipments",
        description="All shipments of the order, newest first.",
        response=ShipmentOutput,
        response_example=examples.SHIPMENT,
        errors=[PermissionDenied],
    )
    def list(self, request: Request, id: Any) -> Response:
        return self.page(find_shipments(self.path_id(), actor=self.actor), ShipmentOutput)


class AdminShipments(ApiViewSet):
    """Shipments of all orders."""

    permission_classes = [IsStaff]

    @documented(
        summary="Correct a shipment",
        description="The customer is notified of the new carrier or tracking number.",
        request=ShipmentCorrectionInput,
        response=ShipmentOutput,
        request_example={"tracking_number": "JD014600003828392837"},
        response_example=examples.SHIPMENT,
        errors=[StaleVersion],
    )
    def partial_update(self, request: Request, id: Any) -> Response:
        shipment = correct_shipment(
            actor=self.actor,
            shipment_id=self.path_id(),
            expected_version=self.expected_version(),
            **self.parse(ShipmentCorrectionInput),
        )
        return Response(ShipmentOutput(shipment).data)

    @documented(
        summary="Mark a shipment as delivered",
        description=(
            "An order with nothing left to ship is delivered once all its shipments are. A shipment"
            " that is delivered stays as it is."
        ),
        response=ShipmentOutput,
        response_example={
            **examples.SHIPMENT,
            "status": "delivered",
            "delivered_at": "2026-11-23T11:30:00Z",
        },
        errors=[StaleVersion],
    )
    def deliver(self, request: Request, id: Any) -> Response:
        shipment = deliver_shipment(
            actor=self.actor,
            shipment_id=self.path_id(),
            expected_version=self.expected_version(),
        )
        return Response(ShipmentOutput(shipment).data)


class BulkShipments(ApiViewSet):
    """Shipments of many orders at once."""

    permission_classes = [IsStaff]
    parser_classes = [JSONParser, ShipmentCSVParser]

    @documented(
        summary="Ship many orders",
        description=(
            f"Ships everything that is left of up to {_MAX_ROWS} orders, each by itself: a row that"
            " is invalid or refused does not affect the others. With an Idempotency-Key all are"
            " shipped in one transaction, for which others may wait. As `text/csv` the first line"
            " names the columns, separated by commas or semicolons."
        ),
        request={"application/json": ShipmentsInput, ShipmentCSVParser.media_type: _CSV},
        response=ShipmentsOutput,
        status=207,
        request_example={
            "shipments": [
                {
                    "order_number": examples.ORDER["number"],
                    "carrier": "DHL",
                    "tracking_number": "JD014600003828392837",
                }
            ]
        },
        response_example={"results": [{"status": 201, "shipment": examples.SHIPMENT}]},
    )
    def create(self, request: Request) -> Response:
        rows = self.parse(ShipmentsInput)["shipments"]
        valid = [OrderShipment(**row) for row in rows if not isinstance(row, Invalid)]
        shipped = iter(ship_orders(actor=self.actor, shipments=valid))
        outcomes = [row if isinstance(row, Invalid) else next(shipped) for row in rows]
        results = [
            {
                "status": status_of(type(outcome)),
                "problem": problem_document(
                    error=outcome, instance=request.path, request_id=self.actor.request_id
                ),
            }
            if isinstance(outcome, OperationError)
            else {"status": 201, "shipment": ShipmentOutput(outcome).data}
            for outcome in outcomes
        ]
        return Response({"results": results}, status=207)
