"""URLs of users and tokens, below /api/v1."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from oms.users.api.staff import StaffViewSet
from oms.users.api.views import MyselfViewSet, RefreshView, RevokeView, TokenView, UserViewSet

router = SimpleRouter(trailing_slash=False)
router.register("users", UserViewSet, basename="user")

urlpatterns = [
    path(
        "users/me",
        MyselfViewSet.as_view({"get": "retrieve", "put": "update", "patch": "partial_update"}),
        name="user-me",
    ),
    path("auth/token", TokenView.as_view(), name="token"),
    path("auth/token/refresh", RefreshView.as_view(), name="token-refresh"),
    path("auth/token/revoke", RevokeView.as_view(), name="token-revoke"),
    path(
        "admin/staff", StaffViewSet.as_view({"get": "list", "post": "create"}), name="admin-staff"
    ),
    path(
        "admin/staff/<uuid:id>",
        StaffViewSet.as_view({"get": "retrieve", "patch": "partial_update"}),
        name="admin-staff-member",
    ),
    *router.urls,
]
