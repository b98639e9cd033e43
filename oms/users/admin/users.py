"""The back office of accounts.

What is offered follows `oms.users.operations.authorization`, which refuses the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminPasswordWidget

from oms.backoffice.actions import ActionForm, BulkAction, Step
from oms.backoffice.admins import BoundedPaginator, OperationAdmin, OperationForm
from oms.backoffice.display import badge, moment
from oms.backoffice.filters import BusinessDaysFilter
from oms.core.actor import Actor
from oms.users.admin.reach import is_within_reach
from oms.users.models import User
from oms.users.operations.accounts import change_user
from oms.users.operations.authorization import KEPT_BY_OTHERS
from oms.users.operations.staff import (
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


class PasswordForm(ActionForm):
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
    # By what the index of that order can page through; customers are many.
    ordering = ("-created_at", "-pk")
    sortable_by = ()
    paginator = BoundedPaginator
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
        return may and is_within_reach(request, obj)

    def may_take(self, request: HttpRequest, step: Step | BulkAction, obj: Any = None) -> bool:
        return super().may_take(request, step, obj) and is_within_reach(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        me: Any = request.user
        shown = ["created", "last_seen"]
        if not me.is_superuser:
            shown += ["is_staff", *_RIGHTS]
        if obj is not None and obj.pk == me.pk:
            shown += KEPT_BY_OTHERS
        return tuple(dict.fromkeys(shown))

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
