"""Steps: what staff may do to an object besides editing it, each on a page of its own.

A link only leads to the page; the step is taken by a POST of its form. A step that the object
does not allow is not offered, and refused with a message if somebody asks for it by its address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.admin import ModelAdmin
from unfold.enums import ActionVariant

from oms.backoffice.actors import staff_actor
from oms.backoffice.form_errors import add_refusal, words_of
from oms.core.actor import Actor
from oms.core.errors import OperationError

Words = str | Promise

# So many objects are changed by one request at most, each in a transaction of its own.
BULK_LIMIT = 200


class ActionForm(forms.Form):
    """What a step needs to know. `subject` is what the step is taken on."""

    def __init__(self, *args: Any, subject: Any, **kwargs: Any) -> None:
        self.subject = subject
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.label = capfirst(field.label)


def _always(subject: Any) -> bool:
    return True


def _none(subject: Any) -> Sequence[Words]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that staff may do to one object.

    `run` gets the actor, the subject and the form's cleaned data, calls operations, and returns
    what to tell; it raises OperationError. `is_offered` says whether the subject allows it.
    `permissions` are needed all, such as "orders.change_order"; by default the object's change.
    One that `is_rare` stands in a menu of its own, so that the common ones can be seen. `details`
    are lines about the subject that help to decide.
    """

    name: str
    label: Words
    icon: str
    run: Callable[[Actor, Any, Mapping[str, Any]], Words]
    is_offered: Callable[[Any], bool] = _always
    form: type[ActionForm] = ActionForm
    explanation: Words = ""
    variant: ActionVariant = ActionVariant.DEFAULT
    permissions: tuple[str, ...] = ()
    is_rare: bool = False
    details: Callable[[Any], Sequence[Words]] = _none


@dataclass(frozen=True, kw_only=True)
class BulkAction:
    """Something that staff may do to many objects of a list, each by itself.

    `run` gets the actor, one object and the form's cleaned data, and raises OperationError.
    """

    name: str
    label: Words
    run: Callable[[Actor, Any, Mapping[str, Any]], object]
    form: type[ActionForm] = ActionForm
    explanation: Words = ""
    variant: ActionVariant = ActionVariant.DEFAULT
    permissions: tuple[str, ...] = ()


class ActionsMixin(ModelAdmin):
    """Offers `steps` on an object's page and `bulk_steps` in the list."""

    steps: Sequence[Step] = ()
    bulk_steps: Sequence[BulkAction] = ()

    def __init__(self, model: type[models.Model], admin_site: Any) -> None:
        super().__init__(model, admin_site)
        for step in self.steps:
            page: Any = partial(self._step_page, step=step)
            page.short_description, page.icon = step.label, step.icon
            page.variant, page.attrs = step.variant, {}
            # django-unfold finds actions as methods, by their names.
            setattr(self, step.name, page)
        rare = [step.name for step in self.steps if step.is_rare]
        menu = [{"title": _("More"), "icon": "more_vert", "items": rare}] if rare else []
        self.actions_detail = [*menu, *(step.name for step in self.steps if not step.is_rare)]

    def subject_of(self, obj: Any) -> Any:
        """What the steps of `obj` are asked about and taken on; the object itself by default."""
        return obj

    def may_take(self, request: HttpRequest, step: Step | BulkAction, obj: Any = None) -> bool:
        """Whether the person may take the step, be it offered or not."""
        change = f"{self.opts.app_label}.change_{self.opts.model_name}"
        user: Any = request.user
        return all(user.has_perm(permission) for permission in step.permissions or (change,))

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """The object, read once for a request that only looks."""
        if request.method != "GET" or from_field:
            return super().get_object(request, object_id, from_field)
        seen: dict[Any, Any] = request.__dict__.setdefault("_back_office_objects", {})
        key = (self.model, object_id)
        if key not in seen:
            seen[key] = super().get_object(request, object_id)
        return seen[key]

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """The steps that the object allows, and that the person may take."""
        if not self.steps:
            return []
        obj = self.get_object(request, unquote(str(object_id)))
        if obj is None:
            return []
        subject = self.subject_of(obj)
        return [
            self.get_unfold_action(step.name)
            for step in self.steps
            if self.may_take(request, step, obj) and step.is_offered(subject)
        ]

    def _step_page(self, request: HttpRequest, object_id: str, *, step: Step) -> HttpResponse:
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            gone: HttpResponse = self._get_obj_does_not_exist_redirect(
                request, self.opts, object_id
            )
            return gone
        if not self.may_take(request, step, obj):
            raise PermissionDenied
        page = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}"
        back = reverse(f"{page}_change", args=[obj.pk])
        subject = self.subject_of(obj)
        if not step.is_offered(subject):
            messages.error(
                request,
                _("“%(step)s” is not possible here: %(object)s does not allow it as it is now.")
                % {"step": step.label, "object": obj},
            )
            return HttpResponseRedirect(back)
        form = step.form(request.POST if request.method == "POST" else None, subject=subject)
        if request.method == "POST" and form.is_valid():
            try:
                said = step.run(staff_actor(request), subject, form.cleaned_data)
            except OperationError as refusal:
                add_refusal(form, refusal)
            else:
                messages.success(request, str(said))
                return HttpResponseRedirect(back)
        return self._form_page(
            request,
            step=step,
            form=form,
            details=step.details(subject),
            back=back,
            original=obj,
            subtitle=str(obj),
        )

    def _form_page(self, request: HttpRequest, **context: Any) -> HttpResponse:
        step: Step | BulkAction = context["step"]
        return TemplateResponse(
            request,
            "backoffice/action.html",
            {
                **self.admin_site.each_context(request),
                "title": step.label,
                "opts": self.opts,
                "media": context["form"].media,
                "is_dangerous": step.variant is ActionVariant.DANGER,
                **context,
            },
        )

    # --- Many at once ---------------------------------------------------------------------------

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """The bulk steps that the person may take, after Django's own actions."""
        actions: dict[str, Any] = super().get_actions(request)
        for step in self.bulk_steps:
            if self.may_take(request, step):
                actions[step.name] = (partial(_bulk_step, step=step), step.name, step.label)
        return actions

    def bulk_page(
        self, request: HttpRequest, queryset: models.QuerySet[Any], *, step: BulkAction
    ) -> HttpResponse | None:
        """Ask what the step needs to know, or take it on each object and tell what came of it."""
        if not self.may_take(request, step):
            raise PermissionDenied
        chosen = list(queryset.order_by("pk")[: BULK_LIMIT + 1])
        if len(chosen) > BULK_LIMIT:
            messages.error(
                request,
                _("Choose at most %(limit)d at once; nothing was changed.") % {"limit": BULK_LIMIT},
            )
            return None
        confirmed = "confirmed" in request.POST
        form = step.form(request.POST if confirmed else None, subject=chosen)
        if confirmed and form.is_valid():
            self._take_on_each(request, chosen, step=step, values=form.cleaned_data)
            return None
        return self._form_page(
            request,
            step=step,
            form=form,
            chosen=chosen,
            checkbox=ACTION_CHECKBOX_NAME,
            back=request.get_full_path(),
            subtitle=ngettext("%(count)d chosen", "%(count)d chosen", len(chosen))
            % {"count": len(chosen)},
        )

    def _take_on_each(
        self,
        request: HttpRequest,
        chosen: Sequence[Any],
        *,
        step: BulkAction,
        values: Mapping[str, Any],
    ) -> None:
        actor = staff_actor(request)
        done = 0
        for obj in chosen:
            try:
                step.run(actor, obj, values)
            except OperationError as refusal:
                messages.error(request, f"{obj}: {words_of(refusal)}")
            else:
                done += 1
        if done:
            messages.success(
                request,
                ngettext("%(step)s: done for %(count)d.", "%(step)s: done for %(count)d.", done)
                % {"step": step.label, "count": done},
            )


def _bulk_step(
    model_admin: ActionsMixin,
    request: HttpRequest,
    queryset: models.QuerySet[Any],
    *,
    step: BulkAction,
) -> HttpResponse | None:
    return model_admin.bulk_page(request, queryset, step=step)
