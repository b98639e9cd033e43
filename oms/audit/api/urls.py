"""URL of the audit trail, below /api/v1."""

from django.urls import path

from oms.audit.api.views import AuditView

urlpatterns = [path("admin/audit", AuditView.as_view(), name="audit")]
