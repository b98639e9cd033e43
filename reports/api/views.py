"""The REST call about reports."""

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
        summary="Report the sales of a day or of several",
        description=(
            "Of a business day in the shop's time zone, or of the days from `date_from` to "
            "`date_to` with each of them. A closed day is final; the running one is live. "
            "`Accept: text/csv` answers the same as CSV: one row for each value."
        ),
        response=DailyReportOutput,
        response_example=examples.REPORT,
        media_types={"text/csv": examples.CSV},
        parameters=PARAMETERS,
    )
    def get(self, request: Request) -> Response:
        now = clock.now()
        asked = parse_query(
            request.query_params,
            today=clock.business_date(now),
            currency=settings.SHOP_CURRENCY,
        )
        if asked.is_range:
            report = range_report(
                first=asked.first, last=asked.last, currency=asked.currency, now=now
            )
            name = f"sales-{asked.first}-{asked.last}.csv"
        else:
            report = daily_report(day=asked.first, currency=asked.currency, now=now)
            name = f"sales-{asked.first}.csv"
        if request.accepted_renderer.format == "csv":
            headers = {"Content-Disposition": f'attachment; filename="{name}"'}
            return Response(document_of(report), headers=headers)
        return Response(DailyReportOutput(document_of(report)).data)
