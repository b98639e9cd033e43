"""How large a body may be."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def body_fault(request: HttpRequest) -> tuple[int, str] | None:
    """The status and the reason to refuse the body of `request`; see `announced_fault`."""
    return announced_fault(
        request.path,
        length=request.META.get("CONTENT_LENGTH") or "",
        is_chunked="Transfer-Encoding" in request.headers,
    )


def announced_fault(path: str, *, length: str, is_chunked: bool) -> tuple[int, str] | None:
    """The status and the reason to refuse a body, known before a byte of it is read.

    `length` is the request's Content-Length, "" without one; `is_chunked` is whether it has a
    Transfer-Encoding.

    Bulk routes end in "/bulk" and may have more, as may settings.API_LARGE_BODY_PATHS and the pages
    of the back office. A body of
    unknown length is 411: WSGI gives us no end of it, so it would silently count as none.
    """
    if not length:
        return (411, "Send the body with a Content-Length.") if is_chunked else None
    if not (length.isascii() and length.isdecimal()):
        return 400, "Content-Length is no number."
    limit = body_limit(path)
    if len(length) > 18 or int(length) > limit:
        return 413, f"A body here has at most {limit} bytes."
    return None


def body_limit(path: str) -> int:
    """The most bytes that the body of a request to `path` may have."""
    is_large = path.endswith("/bulk") or path in settings.API_LARGE_BODY_PATHS
    is_small = path.startswith("/api/") and not is_large
    limit: int = settings.API_BODY_LIMIT if is_small else settings.API_BULK_BODY_LIMIT
    return limit
