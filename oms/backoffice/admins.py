"""Base classes of admin pages: read-only ones, and ones that change objects through operations."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib.admin import ShowFacets
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import models
from django.forms.models import construct_instance
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property

from oms.backoffice.actions import ActionsMixin
from oms.backoffice.actors import may, staff_actor
from oms.backoffice.form_errors import add_errors
from oms.backoffice.text_fields import forbid_control_characters
from oms.core.actor import Actor
from oms.core.errors import OperationError
from oms.core.permissions import Permission
from oms.db.transactions import with_retries


class BoundedPaginator(Paginator[Any]):
    """Counts at most `bound` rows, so that a list of millions opens at once.

    Rows beyond are found by filters and search.
    """

    bound = 1_000

    @cached_property
    def count(self) -> int:
        """The number of rows, at most `bound`."""
        return min(self._counted, self.bound)

    @property
    def is_truncated(self) -> bool:
        return self._counted > self.bound

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        # Any of the rows will do, so they need not be sorted.
        counted: int = rows.order_by()[: self.bound + 1].count()
        return counted


class BaseAdmin(ActionsMixin):
    """What all admin pages share: nothing is deleted, and the event log is the only log.

    `view_permissions` are those that show the list and the objects. An admin with an `object_type`,
    as events name it, also names and finds its objects for the pages of other apps, which know them
    by their ids alone: see oms/backoffice/object_links.py.
    """

    view_permissions: ClassVar[tuple[Permission, ...]]
    object_type: ClassVar[str] = ""
    list_filter_submit = True
    list_per_page = 50
    show_full_result_count = False
    # Counting each choice of each filter would take as many queries over the whole table.
    show_facets = ShowFacets.NEVER
    compressed_fields = True

    def object_names(self, ids: Collection[UUID]) -> Mapping[UUID, str]:
        """The names of those of the objects that still exist."""
        objects = self.model._default_manager.filter(pk__in=ids)
        return {obj.pk: str(obj) for obj in objects}

    def find_object(self, name: str) -> UUID | None:
        """The id of the object with exactly that name."""
        return None

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, *self.view_permissions)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Write nothing: the operation has published its event."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Write nothing: the operation has published its event."""


class ReadOnlyAdmin(BaseAdmin):
    list_disable_select_all = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LargeTableAdmin(ReadOnlyAdmin):
    """A read-only list of a table that only grows: sorted and searched by what an index can."""

    paginator = BoundedPaginator
    ordering: tuple[str, ...] = ("-pk",)
    sortable_by: tuple[str, ...] = ()

    def search_query(self, term: str) -> models.Q:
        """The rows found by `term`, which is stripped and not empty."""
        raise NotImplementedError

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        term = search_term.strip()
        return queryset.filter(self.search_query(term)) if term else queryset, False


class OperationForm(forms.ModelForm[models.Model]):
    """Validates each field; rules across rows are left to the operation and the database."""

    # Set by OperationAdmin when the form is shown again.
    operation_error: ClassVar[OperationError | None] = None
    error_fields: ClassVar[Mapping[str, str]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        forbid_control_characters(self)

    def clean(self) -> Any:
        cleaned = super().clean()
        if self.operation_error is not None:
            add_errors(self, self.operation_error, fields=self.error_fields)
        return cleaned

    def _post_clean(self) -> None:
        """Validate the fields of the instance, but not its constraints.

        Django would report a constraint by its name; the operation's error says what is wrong.
        """
        # The parts of Django's own _post_clean; the stubs leave these methods out.
        form: Any = self
        try:
            self.instance = construct_instance(
                self, self.instance, self._meta.fields, self._meta.exclude
            )
            self.instance.clean_fields(exclude=form._get_validation_exclusions())
        except ValidationError as error:
            form._update_errors(error)


class OperationAdmin(BaseAdmin):
    """Objects that are added and changed by operations, by those with the permissions."""

    add_permissions: ClassVar[tuple[Permission, ...]]
    change_permissions: ClassVar[tuple[Permission, ...]]
    form = OperationForm
    # Error codes of the operations → form fields.
    error_fields: ClassVar[Mapping[str, str]] = {}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and may(request, *self.add_permissions)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request, obj) and may(request, *self.change_permissions)

    def create(self, actor: Actor, values: Mapping[str, Any]) -> models.Model:
        """Create the object from the `values` of the add form."""
        raise NotImplementedError

    def change(self, actor: Actor, obj: Any, values: Mapping[str, Any], form: Any) -> None:
        """Apply the changed `values` of the change form to `obj`."""
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        actor = staff_actor(request)
        if change:
            values = {name: form.cleaned_data[name] for name in form.changed_data}
            self.change(actor, obj, values, form)
        else:
            obj.pk = self.create(actor, form.cleaned_data).pk

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Nothing: the operation has written what belongs to the object."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The form, shown again with the error if the operation fails; nothing is changed then."""

        def page() -> HttpResponse:
            response: HttpResponse = super(OperationAdmin, self).changeform_view(
                request, object_id, form_url, dict(extra_context or {})
            )
            return response

        try:
            return with_retries(page)
        except OperationError as error:
            request.__dict__["_operation_error"] = error
            return page()

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        # A class of its own for each request, so it can hold the error of that request.
        form_class: Any = super().get_form(request, obj, change=change, **kwargs)
        form_class.operation_error = request.__dict__.get("_operation_error")
        form_class.error_fields = self.error_fields
        return form_class
