"""The URLs of the project."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from oms.home import home
from oms.http.methods import read_only
from oms.streams.back_office import stream_ticket
from oms.streams.pages import live
from oms.users.admin.own_password import OwnPasswordView
from oms.users.admin.password_link import PasswordLinkView

admin.autodiscover()

urlpatterns = [
    path("", read_only(home), name="home"),
    path("admin", RedirectView.as_view(url="/admin/")),
    # Replaces Django's view, which records no event.
    path(
        "admin/password_change/",
        admin.site.admin_view(OwnPasswordView.as_view()),
        name="own-password",
    ),
    path("admin/password/set/", PasswordLinkView.as_view(), name="password-link"),
    path("admin/stream/ticket/", admin.site.admin_view(stream_ticket), name="stream-ticket"),
    path("admin/", admin.site.urls),
    path("live", read_only(live), name="live"),
    path("", include("oms.http.urls")),
    path("api/v1/", include("oms.users.api.urls")),
    path("api/v1/", include("oms.audit.api.urls")),
    path("api/v1/", include("oms.exceptions.api.urls")),
    path("api/v1/", include("inventory.api.urls")),
    path("api/v1/", include("payments.api.urls")),
    path("api/v1/", include("orders.api.urls")),
    path("api/v1/", include("notifications.api.urls")),
    path("api/v1/", include("reports.api.urls")),
    path("api/v1/", include("oms.streams.urls")),
    path("api/v1/", include("oms.customers.api")),
]
