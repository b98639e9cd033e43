"""The operations of the URLconf: every route outside of the back office, and its methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

HANDLED = ("GET", "POST", "PUT", "PATCH", "DELETE")
METHODS = (*HANDLED, "HEAD", "OPTIONS", "TRACE", "FROBNICATE")
"""The methods that every route is called with."""


def operations() -> frozenset[tuple[str, str]]:
    """The method and the route's name of each operation.

    HEAD is left out: the handler of GET answers it.
    """
    # Another suite attacks the back office, whose routes begin with "admin" at the top level.
    outside = [
        pattern
        for pattern in get_resolver().url_patterns
        if not str(pattern.pattern).startswith("admin")
    ]
    found = []
    for pattern in _patterns(outside):
        assert pattern.name, f"The route {pattern.pattern} has no name."
        found += [(method, pattern.name) for method in _methods_of(pattern.callback)]
    assert len(set(found)) == len(found), "Two routes have the same name."
    return frozenset(found)


def _patterns(patterns: Sequence[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield pattern
        else:
            yield from _patterns(pattern.url_patterns)


def _methods_of(callback: Any) -> Iterator[str]:
    actions, view = getattr(callback, "actions", None), getattr(callback, "cls", None)
    for method in HANDLED:
        if actions is not None:
            is_handled = method.lower() in actions
        else:
            is_handled = method == "GET" if view is None else hasattr(view, method.lower())
        if is_handled:
            yield method
