"""Actions: operations that staff run on objects, each with a page that confirms or asks for input.

Links lead to the page with GET; only a POST of its form runs the action. An action that the object
does not allow is not offered, and opening its URL directly shows a message.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.admin import ModelAdmin
from unfold.enums import ActionVariant

from oms.backoffice.actors import may, staff_actor
from oms.backoffice.form_errors import add_errors, error_text
from oms.backoffice.text_fields import forbid_control_characters
from oms.core.actor import Actor
from oms.core.errors import OperationError
from oms.core.permissions import Permission

Text = str | Promise

# Each object of a bulk action is changed in a transaction of its own.
BULK_LIMIT = 200


class ActionForm(forms.Form):
    """The input of an action. `subject` is what the action runs on: in bulk, a list of objects.

    `version` is that of the object when the form is opened; it comes back as `expected_version`,
    None for objects without versions and in bulk.
    """

    expected_version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, subject: Any, version: int | None = None, **kwargs: Any) -> None:
        self.subject = subject
        super().__init__(*args, **kwargs)
        self.initial["expected_version"] = version
        forbid_control_characters(self)


@dataclass(frozen=True, kw_only=True)
class AdminAction:
    """An operation that staff run on one object, or on each of those selected in the list.

    `run` receives the actor, the subject and the form's cleaned data, returns the message of
    success, and raises OperationError: StaleVersion by the `expected_version` of the data.
    `is_available` says whether the subject allows the action; in bulk the operation decides. All
    `permissions` are required, besides those to view the object, and what `permissions_for` adds
    for the subject. `in_menu` moves the button to the "More" menu. `details` are lines about the
    subject shown on the page.
    """

    name: str
    label: Text
    run: Callable[[Actor, Any, Mapping[str, Any]], Text]
    permissions: tuple[Permission, ...]
    permissions_for: Callable[[Any], Collection[Permission]] = lambda subject: ()
    icon: str = ""
    is_available: Callable[[Any], bool] = lambda subject: True
    form: type[ActionForm] = ActionForm
    explanation: Text = ""
    variant: ActionVariant = ActionVariant.DEFAULT
    in_menu: bool = False
    details: Callable[[Any], Sequence[Text]] = lambda subject: ()


class ActionsMixin(ModelAdmin):
    """Offers `object_actions` on an object's page and `bulk_actions` in the list."""

    object_actions: Sequence[AdminAction] = ()
    bulk_actions: Sequence[AdminAction] = ()

    def __init__(self, model: type[models.Model], admin_site: Any) -> None:
        super().__init__(model, admin_site)
        for action in self.object_actions:
            page: Any = partial(self._action_page, action=action)
            page.short_description, page.icon = action.label, action.icon
            page.variant, page.attrs = action.variant, {}
            # django-unfold looks actions up as methods of the admin.
            setattr(self, action.name, page)
        menu = [action.name for action in self.object_actions if action.in_menu]
        self.actions_detail = [
            *([{"title": _("More"), "icon": "more_vert", "items": menu}] if menu else []),
            *(action.name for action in self.object_actions if not action.in_menu),
        ]

    def subject_of(self, obj: Any) -> Any:
        """What the actions of `obj` run on; the object itself by default."""
        return obj

    def version_of(self, obj: Any) -> int | None:
        """The version of `obj` that its operations compare; None if it has none."""
        return None

    def has_action_permission(
        self, request: HttpRequest, action: AdminAction, subject: Any = None
    ) -> bool:
        """Whether the user may run the action, available or not, on the subject if there is one."""
        if not (self.has_view_permission(request) and may(request, *action.permissions)):
            return False
        return subject is None or may(request, *action.permissions_for(subject))

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """The available actions that the user may run."""
        if not self.object_actions:
            return []
        obj = self.get_object(request, unquote(str(object_id)))
        if obj is None:
            return []
        subject = self.subject_of(obj)
        return [
            self.get_unfold_action(action.name)
            for action in self.object_actions
            if self.has_action_permission(request, action, subject) and action.is_available(subject)
        ]

    def _action_page(
        self, request: HttpRequest, object_id: str, *, action: AdminAction
    ) -> HttpResponse:
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            missing: HttpResponse = self._get_obj_does_not_exist_redirect(
                request, self.opts, object_id
            )
            return missing
        subject = self.subject_of(obj)
        if not self.has_action_permission(request, action, subject):
            raise PermissionDenied
        page = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}"
        back = reverse(f"{page}_change", args=[obj.pk])
        if not action.is_available(subject):
            text = _("“%(action)s” isn't available for %(object)s in its current state.")
            messages.error(request, text % {"action": action.label, "object": obj})
            return HttpResponseRedirect(back)
        form = action.form(
            request.POST if request.method == "POST" else None,
            subject=subject,
            version=self.version_of(obj),
        )
        if request.method == "POST" and form.is_valid():
            try:
                message = action.run(staff_actor(request), subject, form.cleaned_data)
            except OperationError as error:
                add_errors(form, error)
            else:
                messages.success(request, str(message))
                return HttpResponseRedirect(back)
        return self._form_page(
            request,
            action=action,
            form=form,
            details=action.details(subject),
            back=back,
            original=obj,
            subtitle=str(obj),
        )

    def _form_page(
        self, request: HttpRequest, *, action: AdminAction, form: ActionForm, **context: Any
    ) -> HttpResponse:
        is_dangerous = action.variant is ActionVariant.DANGER
        return TemplateResponse(
            request,
            "backoffice/action.html",
            {
                **self.admin_site.each_context(request),
                "title": action.label,
                "opts": self.opts,
                "media": form.media,
                "action": action,
                "form": form,
                "button_variant": "danger" if is_dangerous else "primary",
                **context,
            },
        )

    # --- Bulk actions -----------------------------------------------------------------------------

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Django's own actions and the bulk actions that the user may run."""
        actions: dict[str, Any] = super().get_actions(request)
        for action in self.bulk_actions:
            if self.has_action_permission(request, action):
                page = partial(type(self)._bulk_page, action=action)
                actions[action.name] = (page, action.name, action.label)
        return actions

    def _bulk_page(
        self, request: HttpRequest, queryset: models.QuerySet[Any], *, action: AdminAction
    ) -> HttpResponse | None:
        selected = list(queryset.order_by("pk")[: BULK_LIMIT + 1])
        if len(selected) > BULK_LIMIT:
            text = _("Nothing was changed. Select %(limit)d or fewer.")
            messages.error(request, text % {"limit": BULK_LIMIT})
            return None
        is_confirmed = "confirmed" in request.POST
        form = action.form(request.POST if is_confirmed else None, subject=selected)
        if is_confirmed and form.is_valid():
            self._run_on_each(request, selected, action=action, values=form.cleaned_data)
            return None
        return self._form_page(
            request,
            action=action,
            form=form,
            selected=selected,
            checkbox=ACTION_CHECKBOX_NAME,
            back=request.get_full_path(),
            subtitle=_("%(count)d selected") % {"count": len(selected)},
        )

    def _run_on_each(
        self,
        request: HttpRequest,
        selected: Sequence[Any],
        *,
        action: AdminAction,
        values: Mapping[str, Any],
    ) -> None:
        actor = staff_actor(request)
        done = 0
        for obj in selected:
            try:
                action.run(actor, self.subject_of(obj), values)
            except OperationError as error:
                messages.error(request, f"{obj}: {error_text(error)}")
            else:
                done += 1
        if done:
            text = ngettext(
                "%(action)s: %(count)d %(name)s updated.",
                "%(action)s: %(count)d %(names)s updated.",
                done,
            )
            names = {"name": self.opts.verbose_name, "names": self.opts.verbose_name_plural}
            messages.success(request, text % {"action": action.label, "count": done, **names})
