"""The two kinds of admin pages: those that only show, and those that change by operations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.contrib.admin import ShowFacets
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import models
from django.forms.models import construct_instance
from django.http import HttpRequest, HttpResponse
from django.utils.formats import number_format
from django.utils.functional import cached_property
from django.utils.text import capfirst

from oms.backoffice.actions import ActionsMixin
from oms.backoffice.actors import staff_actor
from oms.backoffice.form_errors import add_refusal
from oms.core.actor import Actor
from oms.core.errors import OperationError
from oms.db.transactions import with_retries


class CountedPaginator(Paginator[Any]):
    """Says how many rows there are as people write it, such as "1,234"."""

    template_name = "backoffice/pagination.html"

    @property
    def counted(self) -> str:
        """The number of rows, for people."""
        return number_format(self.count, force_grouping=True)


class BoundedPaginator(CountedPaginator):
    """Counts no further than to `bound`, so that a list of millions opens at once.

    What lies beyond is found by filters and search.
    """

    bound = 1_000

    @property
    def counted(self) -> str:
        """The number of rows, for people; "1,000+" where counting has stopped."""
        return super().counted + ("+" if self._found > self.bound else "")

    @cached_property
    def count(self) -> int:
        """How many rows there are, at most `bound`."""
        return min(self._found, self.bound)

    @cached_property
    def _found(self) -> int:
        rows: Any = self.object_list
        # Which of them are counted is all one, so they need not be sorted.
        found: int = rows.order_by()[: self.bound + 1].count()
        return found


class ShownAdmin(ActionsMixin):
    """What all admin pages share: nothing is deleted, and the event log is the only journal."""

    list_filter_submit = True
    list_per_page = 50
    show_full_result_count = False
    # Counting each choice of each filter would take as many statements over the whole table.
    show_facets = ShowFacets.NEVER
    compressed_fields = True
    paginator: type[CountedPaginator] = CountedPaginator

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Write nothing: the operation has published its event."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Write nothing: the operation has published its event."""


class ReadOnlyAdmin(ShownAdmin):
    """Rows that nobody edits by hand: ledgers, payments, messages, orders."""

    list_disable_select_all = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By the person's permissions to view or to change, although nothing is changed here."""
        user: Any = request.user
        label, name = self.opts.app_label, self.opts.model_name
        return any(user.has_perm(f"{label}.{verb}_{name}") for verb in ("view", "change"))


class GrowingAdmin(ReadOnlyAdmin):
    """A read-only list of a table that only ever grows."""

    paginator = BoundedPaginator
    ordering: tuple[str, ...] = ("-pk",)
    sortable_by: tuple[str, ...] = ()


class OperationForm(forms.ModelForm[models.Model]):
    """Checks each field; what the rows together must keep, the operation and the database check."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.label = capfirst(field.label)

    def _post_clean(self) -> None:
        """Check the fields of the instance, and leave its constraints to the operation.

        Django would report a constraint by its name; the operation's refusal says what is wrong.
        """
        # What Django's own _post_clean is made of; the stubs leave these methods out.
        form: Any = self
        try:
            self.instance = construct_instance(
                self, self.instance, self._meta.fields, self._meta.exclude
            )
            self.instance.clean_fields(exclude=form._get_validation_exclusions())
        except ValidationError as error:
            form._update_errors(error)


class OperationAdmin(ShownAdmin):
    """Objects that are added and changed by operations."""

    form = OperationForm
    # Codes of refusals, and the fields that they are about.
    refused_fields: ClassVar[Mapping[str, str]] = {}

    def create(self, actor: Actor, values: Mapping[str, Any]) -> models.Model:
        """The object that the operation made of the add form's `values`."""
        raise NotImplementedError

    def change(self, actor: Actor, obj: Any, values: Mapping[str, Any], form: Any) -> None:
        """Let the operation set the changed `values` of the change form on `obj`."""
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        actor = staff_actor(request)
        if change:
            values = {name: form.cleaned_data[name] for name in form.changed_data}
            self.change(actor, obj, values, form)
        else:
            made = self.create(actor, form.cleaned_data)
            obj.pk = made.pk

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Nothing: the operation has written what belongs to the object."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The form; a refusal of the operation is shown in it, and nothing is changed then."""

        def page() -> HttpResponse:
            response: HttpResponse = super(OperationAdmin, self).changeform_view(
                request, object_id, form_url, dict(extra_context or {})
            )
            return response

        try:
            return with_retries(page)
        except OperationError as refusal:
            request.__dict__["_refusal"] = refusal
            return page()

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form_class: Any = super().get_form(request, obj, change=change, **kwargs)
        refusal: OperationError | None = request.__dict__.get("_refusal")
        if refusal is None:
            return form_class
        tell = partial(add_refusal, refusal=refusal, fields=self.refused_fields)

        class RefusedForm(form_class):
            def clean(self) -> Any:
                cleaned = super().clean()
                tell(self)
                return cleaned

        return RefusedForm
