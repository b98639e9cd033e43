"""The back office of API sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.enums import ActionVariant

from oms.backoffice.actions import AdminAction
from oms.backoffice.actors import staff_actor
from oms.backoffice.admins import LargeTableAdmin
from oms.backoffice.display import badge, link
from oms.backoffice.filters import BusinessDateFilter, CreationDateFilter
from oms.core import clock
from oms.core.actor import Actor
from oms.users.admin.users import sees_accounts, sees_staff_alone
from oms.users.models import Session, User
from oms.users.operations.authorization import may_change
from oms.users.operations.sessions import end_session

# A search returns the sessions of this many users at most, so that an index can serve it.
_MAX_USERS = 200


def _end_session(actor: Actor, session: Any, values: Mapping[str, Any]) -> str:
    end_session(actor=actor, session_id=session.pk, reason="by staff")
    return gettext("Session ended.")


@admin.register(Session)
class SessionAdmin(LargeTableAdmin):
    list_display = ("created_at", "user_link", "state", "rotated_at", "expires_at")
    list_select_related = ("user",)
    list_filter = (("created_at", CreationDateFilter), ("revoked_at", BusinessDateFilter))
    search_fields = ("user__email",)
    search_help_text = _("User's e-mail address")
    # Without the token's ID, which is nearly a secret.
    fields = (
        ("user", "state"),
        ("created_at", "rotated_at"),
        ("expires_at", "revoked_at"),
        "revoked_because",
    )
    object_actions = (
        AdminAction(
            name="end_session",
            label=_("End session"),
            icon="logout",
            run=_end_session,
            permissions=(),
            is_available=lambda session: (
                session.revoked_at is None and session.expires_at > clock.now()
            ),
            variant=ActionVariant.DANGER,
            explanation=_("Logs the user out of this session. Its access token stops working."),
        ),
    )

    def search_query(self, term: str) -> Q:
        """The sessions of the newest users whose address contains `term`."""
        users = User.objects.filter(email__icontains=term).order_by("-created_at", "-pk")
        return Q(user__in=list(users.values_list("pk", flat=True)[:_MAX_USERS]))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return sees_accounts(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        rows: QuerySet[Session] = super().get_queryset(request)
        return rows.filter(user__is_staff=True) if sees_staff_alone(request) else rows

    def has_action_permission(
        self, request: HttpRequest, action: AdminAction, subject: Any = None
    ) -> bool:
        is_permitted = super().has_action_permission(request, action, subject)
        return is_permitted and (
            subject is None or may_change(actor=staff_actor(request), user=subject.user)
        )

    @display(description=_("user"))
    def user_link(self, session: Session) -> SafeString | str:
        return link(session.user.email, "users_user", session.user_id)

    @display(description=_("status"))
    def state(self, session: Session) -> SafeString:
        if session.revoked_at is not None:
            return badge(_("ended"), "danger")
        if session.expires_at <= clock.now():
            return badge(_("expired"))
        return badge(_("active"), "success")
