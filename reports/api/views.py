"""The daily sales report."""

from __future__ import annotations

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.permissions import IsStaff
from oms.api.renderers import JSONRenderer
from oms.api.views import ApiView
from oms.core import clock
from reports.api import examples
from reports.api.parameters import PARAMETERS, parse_query
from reports.api.renderers import ReportCSVRenderer
from reports.api.serializers import DailyReportOutput
from reports.documents import document_of
from reports.operations.reporting import daily_report, range_report


class DailyReportView(ApiView):
    permission_classes = [IsStaff]
    renderer_classes = [JSONRenderer, ReportCSVRenderer]
    queries = {"get": set(PARAMETERS)}

    @documented(
        summary="Get the sales of a day or a range",
        description=(
            "For one business day in the shop's time zone, or for the days from `date_from` to "
            "`date_to` with totals and each day. Closed days are final; today's figures are live. "
            "`Accept: text/csv` returns the same figures as CSV, one row per value."
        ),
        response=DailyReportOutput,
        response_example=examples.REPORT,
        media_types={"text/csv": examples.CSV},
        parameters=PARAMETERS,
    )
    def get(self, request: Request) -> Response:
        now = clock.now()
        query = parse_query(
            request.query_params,
            today=clock.business_date(now),
            currency=settings.SHOP_CURRENCY,
        )
        if query.is_range:
            report = range_report(
                actor=self.actor,
                first=query.first,
                last=query.last,
                currency=query.currency,
                now=now,
            )
            name = f"sales-{query.first}-{query.last}.csv"
        else:
            report = daily_report(
                actor=self.actor, day=query.first, currency=query.currency, now=now
            )
            name = f"sales-{query.first}.csv"
        if request.accepted_renderer.format == "csv":
            headers = {"Content-Disposition": f'attachment; filename="{name}"'}
            return Response(document_of(report), headers=headers)
        return Response(DailyReportOutput(document_of(report)).data)
