"""Every list of the product with every filter, ordering and search that it has.

They are taken from the URLconf and the admin site, so new lists and filters are included without
being named. The values of a filter without choices are looked up by the name of its parameter; a
missing name is a LookupError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.filters import (
    BooleanFieldListFilter,
    ChoicesFieldListFilter,
    RelatedFieldListFilter,
    SimpleListFilter,
)
from django.test import RequestFactory
from django.urls import URLPattern, get_resolver, reverse
from unfold.contrib.filters.admin import RangeDateFilter

from oms.api.filters import BooleanFilter, ChoiceFilter, ChoiceInFilter

# The values that parameters are tried with, by the names of the parameters.
Values = Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A path with its query; `is_admin` if it belongs to the back office."""

    url: str
    is_admin: bool


def api_lists(values: Values) -> Iterator[Page]:
    """The first pages of the API's lists: each ordering, each filter, and the two together.

    Together they are tried with the first value of each filter, and the oldest or least first.
    """
    for path, view in _listing_views():
        orderings = [sign + name for name in ("id", *view.orderings) for sign in ("", "-")]
        filters = view.filterset_class.base_filters if view.filterset_class else {}
        for ordering in orderings:
            yield _api(path, ordering=ordering)
        for name, filter_ in filters.items():
            tried = _values_of(name, filter_, values)
            for value in tried:
                yield _api(path, **{name: value})
            for ordering in orderings[::2]:
                yield _api(path, **{name: tried[0], "ordering": ordering})


def admin_lists(values: Values, *, user: Any) -> Iterator[Page]:
    """The back office's lists: each ordering, filter and search, and the second page.

    Searches are `values["q"]`, days of ranges `values["days"]`, as "2026-01-01/2026-01-31".
    """
    for model, model_admin in _registered():
        path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        request = RequestFactory().get(path)
        request.user = user
        changelist: Any = model_admin.get_changelist_instance(request)
        yield _admin(path)
        yield _admin(path, p="2")
        for number, column in enumerate(changelist.list_display):
            if changelist.get_ordering_field(column) and _is_sortable(changelist, column):
                yield _admin(path, o=str(number))
                yield _admin(path, o=f"-{number}")
        for spec in changelist.filter_specs:
            for query in _queries_of(spec, values):
                yield _admin(path, **query)
        if model_admin.get_search_fields(request):
            for term in values["q"]:
                yield _admin(path, q=term)


def admin_objects() -> Iterator[Page]:
    """The page of one object of each kind, the first of its list, where there is one."""
    for model, _ in _registered():
        found: Any = model._default_manager.order_by("pk").first()
        if found is not None:
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
            yield Page(url=reverse(name, args=[found.pk]), is_admin=True)


def _registered() -> Sequence[tuple[Any, Any]]:
    # The admin's classes are loaded with the addresses.
    assert get_resolver().url_patterns
    return list(admin.site._registry.items())


def _listing_views() -> Iterator[tuple[str, Any]]:
    """The addresses without parameters that answer with pages, and their views."""
    for name, pattern in _patterns(get_resolver()):
        callback: Any = pattern.callback
        view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
        action = (getattr(callback, "actions", None) or {}).get("get", "get")
        if action in getattr(view, "paged_actions", ()) and not pattern.pattern.converters:
            yield reverse(name), view


def _patterns(resolver: Any) -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        if not isinstance(pattern, URLPattern):
            yield from _patterns(pattern)
        elif pattern.name and "<" not in str(pattern.pattern):
            yield pattern.name, pattern


def _values_of(name: str, filter_: Any, values: Values) -> Sequence[str]:
    if isinstance(filter_, ChoiceInFilter):
        return [",".join(filter_.values), ",".join(filter_.values[-2:])]
    if isinstance(filter_, ChoiceFilter):
        return filter_.values
    if isinstance(filter_, BooleanFilter):
        return ["true", "false"]
    if name not in values:
        raise LookupError(f"There are no values to try the filter {name} with.")
    return values[name]


def _queries_of(spec: Any, values: Values) -> Iterator[dict[str, str]]:
    """The queries of a filter of the back office, one for each of its choices."""
    if isinstance(spec, RangeDateFilter):
        for days in values["days"]:
            first, last = days.split("/")
            given = {f"{spec.parameter_name}_from": first, f"{spec.parameter_name}_to": last}
            yield {name: day for name, day in given.items() if day}
    elif isinstance(spec, BooleanFieldListFilter):
        yield {spec.lookup_kwarg: "1"}
        yield {spec.lookup_kwarg: "0"}
    elif isinstance(spec, ChoicesFieldListFilter):
        for value, _ in spec.field.flatchoices:
            if value:
                yield {spec.lookup_kwarg: value}
    elif isinstance(spec, SimpleListFilter):
        for value, _ in spec.lookup_choices:
            yield {spec.parameter_name or "": str(value)}
    elif isinstance(spec, RelatedFieldListFilter):
        for value, _ in spec.lookup_choices:
            yield {spec.lookup_kwarg: str(value)}
    else:
        raise LookupError(f"There are no queries to try the filter {spec!r} with.")


def _is_sortable(changelist: Any, column: str) -> bool:
    return changelist.sortable_by is None or column in changelist.sortable_by


def _api(path: str, **query: str) -> Page:
    return Page(url=f"{path}?{urlencode(query)}", is_admin=False)


def _admin(path: str, **query: str) -> Page:
    return Page(url=f"{path}?{urlencode(query)}" if query else path, is_admin=True)
