"""The back office of the API's sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.enums import ActionVariant

from oms.backoffice.actions import BulkAction, Step
from oms.backoffice.admins import GrowingAdmin
from oms.backoffice.display import badge, link, moment
from oms.backoffice.filters import BusinessDaysFilter, CreationDaysFilter
from oms.core import clock
from oms.core.actor import Actor
from oms.users.admin.reach import is_within_reach
from oms.users.models import Session, User
from oms.users.operations.sessions import end_session

# A search finds the sessions of so many users at most, so that it is asked of an index.
_MOST_FOUND = 200


def _end_one(actor: Actor, session: Any, values: Mapping[str, Any]) -> str:
    end_session(actor=actor, session_id=session.pk, reason="by staff")
    return _now("The session is ended.")


@admin.register(Session)
class SessionAdmin(GrowingAdmin):
    list_display = ("created", "user_link", "state", "rotated", "expires")
    list_select_related = ("user",)
    list_filter = (("created_at", CreationDaysFilter), ("revoked_at", BusinessDaysFilter))
    search_fields = ("user__email",)
    search_help_text = _("E-mail address of the user")
    # The token's own id is left out: only its hash is less of a secret.
    fields = (("user_link", "state"), ("created", "rotated"), ("expires", "revoked"))
    readonly_fields = ("created", "user_link", "state", "rotated", "expires", "revoked")
    steps = (
        Step(
            name="end_session",
            label=_("End session"),
            icon="logout",
            run=_end_one,
            is_offered=lambda session: (
                session.revoked_at is None and session.expires_at > clock.now()
            ),
            variant=ActionVariant.DANGER,
            explanation=_("Its access token ends too, at once."),
        ),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Session], search_term: str
    ) -> tuple[QuerySet[Session], bool]:
        """By a part of the address, of the newest users that have it."""
        term = search_term.strip()
        if not term:
            return queryset, False
        found = User.objects.filter(email__icontains=term).order_by("-created_at", "-pk")
        users = list(found.values_list("pk", flat=True)[:_MOST_FOUND])
        return queryset.filter(user__in=users), False

    def may_take(self, request: HttpRequest, step: Step | BulkAction, obj: Any = None) -> bool:
        whose = obj.user if isinstance(obj, Session) else None
        return super().may_take(request, step, obj) and is_within_reach(request, whose)

    @display(description=_("logged in"))
    def created(self, session: Session) -> str:
        return moment(session.created_at)

    @display(description=_("user"))
    def user_link(self, session: Session) -> SafeString | str:
        return link(session.user.email, "users_user", session.user_id)

    @display(description=_("state"))
    def state(self, session: Session) -> SafeString:
        if session.revoked_at is not None:
            return badge(_("revoked"), "danger")
        if session.expires_at <= clock.now():
            return badge(_("expired"))
        return badge(_("open"), "success")

    @display(description=_("last refreshed"))
    def rotated(self, session: Session) -> str:
        return moment(session.rotated_at)

    @display(description=_("expires"))
    def expires(self, session: Session) -> str:
        return moment(session.expires_at)

    @display(description=_("revoked"))
    def revoked(self, session: Session) -> str:
        because = f" ({session.revoked_because})" if session.revoked_because else ""
        return f"{moment(session.revoked_at)}{because}"
