"""URLs of reports, under /api/v1."""

from __future__ import annotations

from django.urls import path

from reports.api.views import DailyReportView

urlpatterns = [
    path("admin/reports/daily", DailyReportView.as_view(), name="daily-report"),
]
