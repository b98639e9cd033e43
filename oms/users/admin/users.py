"""The back office of users.

Pages offer what `oms.users.operations.authorization` allows; the operations refuse the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminPasswordWidget

from oms.backoffice.actions import ActionForm, AdminAction
from oms.backoffice.actors import may, staff_actor
from oms.backoffice.admins import BoundedPaginator, OperationAdmin, OperationForm
from oms.backoffice.display import badge
from oms.backoffice.filters import BusinessDateFilter
from oms.core.actor import Actor
from oms.core.permissions import Permission
from oms.users.admin.permission_fields import offer_permissions
from oms.users.models import User
from oms.users.operations.accounts import change_user
from oms.users.operations.authorization import KEPT_BY_OTHERS, may_change
from oms.users.operations.password_links import invite_staff_member
from oms.users.operations.staff import (
    create_account,
    grant_rights,
    log_out_everywhere,
    set_password,
)

_PERMISSIONS = ("is_superuser", "groups", "user_permissions")


def _password_field(label: Any, help_text: Any = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        strip=False,
        max_length=128,
        help_text=help_text,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )


class UserForm(OperationForm):
    """The add form has a password; the change form has permissions."""

    password = _password_field(_("Password"), _("The user can change it later."))

    class Meta:
        model = User
        fields = (
            *("email", "full_name", "phone", "language", "is_active", "is_staff"),
            *_PERMISSIONS,
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            del self.fields["password"]
        offer_permissions(self.fields.get("user_permissions"))


class PasswordForm(ActionForm):
    password = _password_field(_("New password"))
    again = _password_field(_("Confirm new password"))

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if values.get("password") != values.get("again"):
            self.add_error("again", _("The passwords don't match."))
        return values


def _set_password(actor: Actor, user: Any, values: Mapping[str, Any]) -> str:
    set_password(actor=actor, user_id=user.pk, password=values["password"])
    return gettext("Password of %(user)s changed.") % {"user": user}


def _invite(actor: Actor, user: Any, values: Mapping[str, Any]) -> str:
    invite_staff_member(actor=actor, user_id=user.pk)
    return gettext("%(user)s will get an e-mail with a link.") % {"user": user}


def _end_sessions(actor: Actor, user: Any, values: Mapping[str, Any]) -> str:
    log_out_everywhere(actor=actor, user_id=user.pk)
    return gettext("%(user)s was logged out everywhere.") % {"user": user}


@admin.register(User)
class UserAdmin(OperationAdmin):
    object_type = "user"
    form = UserForm
    list_display = ("email", "full_name", "phone", "is_active", "role", "created_at")
    list_filter = (
        ("is_active", BooleanRadioFilter),
        ("is_staff", BooleanRadioFilter),
        ("created_at", BusinessDateFilter),
    )
    search_fields = ("email", "full_name", "phone")
    search_help_text = _("E-mail address, name or phone")
    # As in the index that serves the pages of a large table.
    ordering = ("-created_at", "-pk")
    sortable_by = ()
    paginator = BoundedPaginator
    filter_horizontal = ("groups", "user_permissions")
    error_fields = {"email_taken": "email"}
    object_actions = (
        AdminAction(
            name="set_password",
            label=_("Set password"),
            icon="key",
            run=_set_password,
            permissions=(),
            form=PasswordForm,
            explanation=_("Logs the user out everywhere."),
        ),
        AdminAction(
            name="invite",
            label=_("Send password link"),
            icon="outgoing_mail",
            run=_invite,
            permissions=(Permission.STAFF_MANAGE,),
            is_available=lambda user: user.is_staff and user.is_active,
            explanation=_("Sends an e-mail with a link to set the password."),
        ),
        AdminAction(
            name="end_sessions",
            label=_("Log out everywhere"),
            icon="logout",
            run=_end_sessions,
            permissions=(),
            variant=ActionVariant.DANGER,
            explanation=_("Ends all API sessions of the user. Their access tokens stop working."),
        ),
    )

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return sees_accounts(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        adds_customers = may(request, Permission.CUSTOMERS_VIEW, Permission.CUSTOMERS_EDIT)
        return adds_customers or may(request, Permission.STAFF_MANAGE)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request) and _may_change(request, obj)

    def has_action_permission(
        self, request: HttpRequest, action: AdminAction, subject: Any = None
    ) -> bool:
        is_permitted = super().has_action_permission(request, action, subject)
        return is_permitted and _may_change(request, subject)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        rows: QuerySet[User] = super().get_queryset(request)
        return rows.filter(is_staff=True) if sees_staff_alone(request) else rows

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        current: Any = request.user
        fields = ["created_at", "last_login"]
        if not may(request, Permission.STAFF_MANAGE):
            fields += ["is_staff", *_PERMISSIONS]
        if not current.is_superuser:
            fields.append("is_superuser")
        if obj is not None and obj.pk == current.pk:
            fields += KEPT_BY_OTHERS
        return tuple(dict.fromkeys(fields))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        manages_staff = may(request, Permission.STAFF_MANAGE)
        fields: tuple[Any, ...]
        if obj is None:
            fields = (("email", "full_name"), ("phone", "language"), "password")
            return ((None, {"fields": (*fields, "is_staff") if manages_staff else fields}),)
        fields = (
            ("email", "full_name"),
            ("phone", "language"),
            "is_active",
            ("created_at", "last_login"),
        )
        profile = (None, {"fields": fields})
        permissions = (_("Permissions"), {"fields": ("is_staff", *_PERMISSIONS)})
        return (profile, permissions) if manages_staff or obj.is_staff else (profile,)

    @display(description=_("role"))
    def role(self, user: User) -> SafeString:
        if user.is_superuser:
            return badge(_("superuser"), "primary")
        return badge(_("staff"), "info") if user.is_staff else badge(_("customer"))

    def create(self, actor: Actor, values: Mapping[str, Any]) -> User:
        return create_account(actor=actor, **values)

    def change(self, actor: Actor, obj: Any, values: Mapping[str, Any], form: Any) -> None:
        profile = {name: value for name, value in values.items() if name not in _PERMISSIONS}
        change_user(actor=actor, user_id=obj.pk, values=profile)
        grant_rights(
            actor=actor,
            user_id=obj.pk,
            is_superuser=values.get("is_superuser"),
            groups=values.get("groups"),
            permissions=values.get("user_permissions"),
        )


def sees_accounts(request: HttpRequest) -> bool:
    """Whether the user may see any accounts: those of customers, or of staff alone."""
    return may(request, Permission.CUSTOMERS_VIEW) or may(request, Permission.STAFF_MANAGE)


def sees_staff_alone(request: HttpRequest) -> bool:
    """Whether the user sees accounts of staff and no customers."""
    return not may(request, Permission.CUSTOMERS_VIEW) and may(request, Permission.STAFF_MANAGE)


def _may_change(request: HttpRequest, user: User | None) -> bool:
    return user is None or may_change(actor=staff_actor(request), user=user)
