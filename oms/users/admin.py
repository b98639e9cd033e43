"""The back office of accounts, sessions and groups.

Only superusers give rights, and only they change the account of one of the staff: whoever may set
the password of an account has its rights too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminPasswordWidget

from oms.core import clock
from oms.core.actor import Actor
from oms.http.back_office.admins import GrowingAdmin, OperationAdmin, OperationForm
from oms.http.back_office.display import badge, link, moment
from oms.http.back_office.filters import BusinessDaysFilter
from oms.http.back_office.steps import BulkStep, Step, StepForm
from oms.users.models import Session, User
from oms.users.operations.registering import change_user
from oms.users.operations.sessions import end_session
from oms.users.operations.staffing import (
    create_account,
    grant_rights,
    log_out_everywhere,
    set_password,
)

_RIGHTS = ("is_superuser", "groups", "user_permissions")


def _password_field(label: Any, help_text: Any = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        strip=False,
        max_length=128,
        help_text=help_text,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )


class UserForm(OperationForm):
    """The add form has a password, the change form rights; each shows its own fields."""

    password = _password_field(_("password"), _("The user may change it later."))

    class Meta:
        model = User
        fields = ("email", "full_name", "phone", "is_active", "is_staff", *_RIGHTS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            del self.fields["password"]


class PasswordForm(StepForm):
    password = _password_field(_("new password"))
    again = _password_field(_("new password, again"))

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if values.get("password") != values.get("again"):
            self.add_error("again", _("The two passwords differ."))
        return values


def _set_password(actor: Actor, user: Any, values: Mapping[str, Any]) -> str:
    set_password(actor=actor, user_id=user.pk, password=values["password"])
    return _now("The password of %(user)s is set.") % {"user": user}


def _end_sessions(actor: Actor, user: Any, values: Mapping[str, Any]) -> str:
    log_out_everywhere(actor=actor, user_id=user.pk)
    return _now("%(user)s is logged out everywhere.") % {"user": user}


@admin.register(User)
class UserAdmin(OperationAdmin):
    form = UserForm
    list_display = ("email", "full_name", "phone", "is_active", "role", "created")
    list_filter = (
        ("is_active", BooleanRadioFilter),
        ("is_staff", BooleanRadioFilter),
        ("created_at", BusinessDaysFilter),
    )
    search_fields = ("email", "full_name", "phone")
    search_help_text = _("E-mail address, name or phone")
    ordering = ("-pk",)
    filter_horizontal = ("groups", "user_permissions")
    refused_fields = {"email_taken": "email"}
    steps = (
        Step(
            name="set_password",
            label=_("Set password"),
            icon="key",
            run=_set_password,
            form=PasswordForm,
            explanation=_("All sessions of the user end."),
        ),
        Step(
            name="end_sessions",
            label=_("Log out everywhere"),
            icon="logout",
            run=_end_sessions,
            variant=ActionVariant.DANGER,
            explanation=_("All sessions of the API end at once, with their access tokens."),
        ),
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may: bool = super().has_change_permission(request, obj)
        return may and _is_within_reach(request, obj)

    def may_take(self, request: HttpRequest, step: Step | BulkStep, obj: Any = None) -> bool:
        return super().may_take(request, step, obj) and _is_within_reach(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        user: Any = request.user
        always = ("created", "last_seen")
        if not user.is_superuser:
            return (*always, "is_staff", *_RIGHTS)
        if obj is not None and obj.pk == user.pk:
            # So that nobody locks the last superuser out.
            return (*always, "is_active", "is_staff", "is_superuser")
        return always

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        user: Any = request.user
        if obj is None:
            fields: tuple[Any, ...] = (("email", "full_name"), "phone", "password")
            return ((None, {"fields": (*fields, "is_staff") if user.is_superuser else fields}),)
        profile = (
            None,
            {"fields": (("email", "full_name"), "phone", "is_active", ("created", "last_seen"))},
        )
        rights = (_("Rights"), {"fields": ("is_staff", *_RIGHTS)})
        return (profile, rights) if user.is_superuser or obj.is_staff else (profile,)

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> forms.Field:
        if db_field.name == "user_permissions":
            kwargs.setdefault("queryset", db_field.related_model.objects.all())
            # Each is shown with the name of its model.
            kwargs["queryset"] = kwargs["queryset"].select_related("content_type")
        field: forms.Field = super().formfield_for_manytomany(db_field, request, **kwargs)
        return field

    @display(description=_("role"))
    def role(self, user: User) -> SafeString:
        if user.is_superuser:
            return badge(_("superuser"), "primary")
        return badge(_("staff"), "info") if user.is_staff else badge(_("customer"))

    @display(description=_("created"), ordering="created_at")
    def created(self, user: User) -> str:
        return moment(user.created_at)

    @display(description=_("last login"))
    def last_seen(self, user: User) -> str:
        return moment(user.last_login)

    def create(self, actor: Actor, values: Mapping[str, Any]) -> User:
        return create_account(
            actor=actor,
            email=values["email"],
            password=values["password"],
            full_name=values["full_name"],
            phone=values["phone"],
            is_staff=values.get("is_staff", False),
        )

    def change(self, actor: Actor, obj: Any, values: Mapping[str, Any], form: Any) -> None:
        profile = {name: value for name, value in values.items() if name not in _RIGHTS}
        change_user(actor=actor, user_id=obj.pk, values=profile)
        grant_rights(
            actor=actor,
            user_id=obj.pk,
            is_superuser=values.get("is_superuser"),
            groups=values.get("groups"),
            permissions=values.get("user_permissions"),
        )


def _is_within_reach(request: HttpRequest, user: Any) -> bool:
    """Whether the person may change `user` at all: superusers anyone, the others customers."""
    me: Any = request.user
    return me.is_superuser or not isinstance(user, User) or not (user.is_staff or user.is_superuser)


def _end_one(actor: Actor, session: Any, values: Mapping[str, Any]) -> str:
    end_session(actor=actor, session_id=session.pk, reason="by staff")
    return _now("The session is ended.")


@admin.register(Session)
class SessionAdmin(GrowingAdmin):
    list_display = ("created", "user_link", "state", "rotated", "expires")
    list_select_related = ("user",)
    list_filter = (("created_at", BusinessDaysFilter), ("revoked_at", BusinessDaysFilter))
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

    def may_take(self, request: HttpRequest, step: Step | BulkStep, obj: Any = None) -> bool:
        whose = obj.user if isinstance(obj, Session) else None
        return super().may_take(request, step, obj) and _is_within_reach(request, whose)

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


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(ModelAdmin):
    """Named sets of rights, given by superusers."""

    search_fields = ("name",)
    ordering = ("name",)
    filter_horizontal = ("permissions",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        user: Any = request.user
        return bool(user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        user: Any = request.user
        return bool(user.is_superuser)

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> forms.Field:
        if db_field.name == "permissions":
            kwargs["queryset"] = db_field.related_model.objects.select_related("content_type")
        field: forms.Field = super().formfield_for_manytomany(db_field, request, **kwargs)
        return field
