"""How the fast path applies settings.MIDDLEWARE.

Each middleware is applied in one of three ways; one that is not listed prevents the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import cache, lru_cache
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost, ImproperlyConfigured
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.utils import translation
from django.utils.module_loading import import_string

from oms.fastpath.requests import FastPathRequest


class Honoured(Enum):
    """How the fast path applies a middleware."""

    RUN = "Its class is run for each kind of request, and the headers are remembered."
    SHARED = "The fast path calls the same functions as the middleware."
    NOT_CONCERNED = "It does nothing for requests of hot routes without cookies."


MIDDLEWARE: Mapping[str, Honoured] = {
    "oms.http.middleware.RequestContextMiddleware": Honoured.SHARED,  # ids, log lines, metrics
    "oms.http.middleware.ContentSecurityPolicyMiddleware": Honoured.RUN,
    "oms.http.middleware.ProblemMiddleware": Honoured.RUN,
    "django.middleware.security.SecurityMiddleware": Honoured.RUN,
    "whitenoise.middleware.WhiteNoiseMiddleware": Honoured.NOT_CONCERNED,  # static files
    "django.contrib.sessions.middleware.SessionMiddleware": Honoured.NOT_CONCERNED,
    "django.middleware.locale.LocaleMiddleware": Honoured.RUN,
    "django.middleware.common.CommonMiddleware": Honoured.RUN,
    "django.middleware.csrf.CsrfViewMiddleware": Honoured.NOT_CONCERNED,  # the API is exempt
    "django.contrib.auth.middleware.AuthenticationMiddleware": Honoured.NOT_CONCERNED,
    "django.contrib.messages.middleware.MessageMiddleware": Honoured.NOT_CONCERNED,
    "oms.streams.back_office.LogPositionMiddleware": Honoured.NOT_CONCERNED,
    "django.middleware.clickjacking.XFrameOptionsMiddleware": Honoured.RUN,
    "oms.http.middleware.RateLimitMiddleware": Honoured.SHARED,
    "oms.http.middleware.BodyLimitMiddleware": Honoured.SHARED,
    "oms.http.middleware.DeadlineMiddleware": Honoured.NOT_CONCERNED,  # its header is unusual
    "oms.http.middleware.IdempotencyMiddleware": Honoured.SHARED,
}

# Of what is remembered for a client, in characters.
_LONGEST = 500


def check_middleware() -> None:
    """Raise ImproperlyConfigured for a middleware that is not listed here."""
    unknown = [name for name in settings.MIDDLEWARE if name not in MIDDLEWARE]
    if unknown:
        raise ImproperlyConfigured(
            f"The fast path does not know the middleware {', '.join(unknown)}: say in"
            " oms/fastpath/middleware.py how it is honoured, or set FAST_PATH=0."
        )


def is_accepted(request: FastPathRequest, *, path: str) -> bool:
    """Whether Django's middleware would let such a request for `path` through to its view."""
    origin = _origin(request)
    return sum(map(len, origin)) <= _LONGEST and _headers(path, *origin) is not None


def middleware_headers(request: FastPathRequest, *, path: str, has_etag: bool) -> Mapping[str, str]:
    """The headers that Django's middleware adds to every answer to such a request for `path`."""
    return _headers(path, *_origin(request), has_etag=has_etag) or {}


def site_of(request: FastPathRequest) -> str:
    """The base URL of the site, as Django makes it of the request: "https://shop.example.com"."""
    return _site(*_origin(request))


def _origin(request: FastPathRequest) -> tuple[str, str, str, str]:
    """What these headers, and whether the request is accepted, depend on."""
    headers = request.headers
    proxied = settings.SECURE_PROXY_SSL_HEADER
    forwarded = headers.get(proxied[0][5:].lower().replace("_", "-"), "") if proxied else ""
    return (
        request.scheme,
        forwarded,
        headers.get("host", ""),
        headers.get("accept-language", ""),
    )


@lru_cache(maxsize=4096)
def _site(scheme: str, forwarded: str, host: str, language: str) -> str:
    environ = _environ("/", scheme, forwarded, host, language)
    return WSGIRequest(environ).build_absolute_uri("/")[:-1]


@lru_cache(maxsize=4096)
def _headers(
    path: str, scheme: str, forwarded: str, host: str, language: str, *, has_etag: bool = False
) -> Mapping[str, str] | None:
    """The headers of the middleware that is run; None if it does not let the request through."""
    environ = _environ(path, scheme, forwarded, host, language)
    with translation.override(None):
        try:
            response = _layers(has_etag=has_etag)(WSGIRequest(environ))
        except DisallowedHost:
            return None
    if response.status_code != 200:
        return None
    left_out = ("ETag", "Content-Type", "Content-Length")
    return {name: value for name, value in response.items() if name not in left_out}


@cache
def _layers(*, has_etag: bool) -> Any:
    def innermost(request: Any) -> HttpResponse:
        return HttpResponse(headers={"ETag": '"v1"'} if has_etag else None)

    layers: Any = innermost
    for name in reversed(settings.MIDDLEWARE):
        if MIDDLEWARE[name] is Honoured.RUN:
            layers = import_string(name)(layers)
    return layers


def _environ(path: str, scheme: str, forwarded: str, host: str, language: str) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "wsgi.url_scheme": scheme,
        "wsgi.input": BytesIO(),
        "HTTP_HOST": host,
        "HTTP_ACCEPT_LANGUAGE": language,
    }
    if settings.SECURE_PROXY_SSL_HEADER:
        environ[settings.SECURE_PROXY_SSL_HEADER[0]] = forwarded
    return environ
