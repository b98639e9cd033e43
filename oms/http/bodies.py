"""How large a body may be."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def body_fault(request: HttpRequest) -> tuple[int, str] | None:
    """The status and the reason to refuse the body of `request`, known before a byte of it is read.

    Bulk routes end in "/bulk" and may have more, as may the pages of the back office. A body of
    unknown length is 411: WSGI gives us no end of it, so it would silently count as none.
    """
    announced = request.META.get("CONTENT_LENGTH") or ""
    if not announced:
        if "Transfer-Encoding" in request.headers:
            return 411, "Send the body with a Content-Length."
        return None
    if not (announced.isascii() and announced.isdecimal()):
        return 400, "Content-Length is no number."
    limit = body_limit(request.path)
    if len(announced) > 18 or int(announced) > limit:
        return 413, f"A body here has at most {limit} bytes."
    return None


def body_limit(path: str) -> int:
    """The most bytes that the body of a request to `path` may have."""
    is_small = path.startswith("/api/") and not path.endswith("/bulk")
    limit: int = settings.API_BODY_LIMIT if is_small else settings.API_BULK_BODY_LIMIT
    return limit
