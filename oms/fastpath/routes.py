"""The hot routes: the URLs of the URLconf whose views have a handler."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.urls import URLPattern, URLResolver, get_resolver, resolve, reverse

from oms.api.decoders import Decoder, compiled
from oms.api.handlers import FastPath, fast_path_of
from oms.api.views import ApiView
from oms.core.permissions import NO_PERMISSIONS
from oms.http.route_limits import limit_names
from oms.users.access_tokens import Account

# In paths as Django prints them; others are left to Django.
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ANY = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, eq=False, kw_only=True)
class Route:
    """A hot route.

    `path` has zeros for an id, and `parameters` are those that it has besides an id; `pattern` and
    `view_name` are the URLconf's. `allow` is the value of Allow, `limit` the name of the limit that
    calls of users count against, None if calls of this route are not counted.
    """

    view: type[ApiView]
    action: str
    fast_path: FastPath
    path: str
    pattern: str
    view_name: str
    parameters: Mapping[str, str]
    allow: str
    limit: str | None

    @cached_property
    def decode(self) -> Decoder | None:
        """The decoder of the body, if it has one."""
        return None if self.fast_path.body is None else compiled(self.fast_path.body)

    @cached_property
    def is_public(self) -> bool:
        """Whether callers need not be signed in."""
        return self._allows(AnonymousUser())

    def allows(self, account: Account) -> bool:
        """Whether the view's permissions let the account in."""
        return self._allows_staff if account.is_staff else self._allows_customers

    @cached_property
    def _allows_staff(self) -> bool:
        return self._allows(_account(is_staff=True))

    @cached_property
    def _allows_customers(self) -> bool:
        return self._allows(_account(is_staff=False))

    def _allows(self, user: Any) -> bool:
        view: Any = self.view
        classes = view.permissions.get(self.action, view.permission_classes)
        request: Any = SimpleNamespace(user=user)
        return all(permission().has_permission(request, view) for permission in classes)


def _account(*, is_staff: bool) -> Account:
    id = UUID(_ANY)
    return Account(
        session_id=id,
        id=id,
        email="",
        is_staff=is_staff,
        is_superuser=False,
        language="",
        permissions=NO_PERMISSIONS,
    )


def find_route(method: str, path: str) -> tuple[Route | None, UUID | None]:
    """The hot route of a request, and the id in its path."""
    match = _UUID.search(path)
    if match is None:
        return routes().get((method, path)), None
    route = routes().get((method, f"{path[: match.start()]}{_ANY}{path[match.end() :]}"))
    return route, UUID(match[0])


@cache
def routes() -> Mapping[tuple[str, str], Route]:
    """The hot routes by method and path, with zeros for the id in it."""
    return dict(_routes(get_resolver().url_patterns))


def _routes(
    patterns: Sequence[URLPattern | URLResolver],
) -> Iterator[tuple[tuple[str, str], Route]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns)
        else:
            yield from _routes_of(pattern)


def _routes_of(pattern: URLPattern) -> Iterator[tuple[tuple[str, str], Route]]:
    callback: Callable[..., Any] = pattern.callback
    view: Any = getattr(callback, "cls", None)
    actions = getattr(callback, "actions", None) or {}
    for method, action in actions.items():
        mark = fast_path_of(getattr(view, action))
        if mark is None:
            continue
        names = getattr(pattern.pattern, "converters", {}) or pattern.pattern.regex.groupindex
        allowed = [
            name.upper()
            for name in ApiView.http_method_names
            if name in actions or (name == "head" and "get" in actions)
        ]
        for parameters in mark.parameters or [dict.fromkeys(names, _ANY)]:
            path = reverse(pattern.name, kwargs=dict(parameters))
            match = resolve(path)
            limits = limit_names(method.upper(), match.view_name)
            assert len(limits) <= 1, "the fast path counts against one limit"
            yield (
                (method.upper(), path),
                Route(
                    view=view,
                    action=action,
                    fast_path=mark,
                    path=path,
                    pattern=match.route,
                    view_name=match.view_name,
                    parameters=parameters if mark.parameters else {},
                    allow=", ".join(allowed),
                    limit=next(iter(limits), None),
                ),
            )
