"""Addresses of the tests: one small resource on the table of idempotency records."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from oms.http.tests import views

router = SimpleRouter(trailing_slash=False)
router.register("things", views.ThingViewSet, basename="things")
router.register("other-things", views.ThingViewSet, basename="other-things")

urlpatterns = [
    path("api/v1/", include(router.urls)),
    path("api/v1/effects", views.EffectView.as_view()),
    path("api/v1/orders", views.EffectView.as_view(), name="orders"),
    path("api/v1/orders/bulk", views.EchoView.as_view(), name="orders-bulk"),
    path("api/v1/auth/token", views.EffectView.as_view(), name="token"),
    path("api/v1/users", views.EffectView.as_view(), name="user-list"),
    path("api/v1/payments/webhooks/sandbox", views.EchoView.as_view(), name="payment-webhook"),
    path("api/v1/echo", views.EchoView.as_view()),
    path("api/v1/sleep", views.SleepView.as_view()),
    path("api/v1/staff", views.StaffView.as_view()),
    path("api/v1/errors/<str:name>", views.ErrorView.as_view()),
    path("api/v1/text/<str:text>", views.TextView.as_view()),
    path("", include("oms.http.urls")),
]
