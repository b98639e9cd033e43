"""The OpenAPI document, made once by each process."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from threading import Lock
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.utils import translation
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

from oms.http.etags import is_unchanged
from oms.http.queries import check_query

# Making it takes half a second, in which the generator loads classes without a lock of its own.
_lock = Lock()


class SchemaView(SpectacularAPIView):
    """The document in the format that Accept prefers, with an ETag."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        check_query(request.query_params, known=())
        renderer: Any = request.accepted_renderer
        with _lock:
            content, etag = _document(renderer.__class__)
        if is_unchanged(request._request, etag=etag):
            answer = HttpResponse(status=304)
            del answer["Content-Type"]
        else:
            charset = f"; charset={renderer.charset}" if renderer.charset else ""
            answer = HttpResponse(content, content_type=renderer.media_type + charset)
            name = self._get_filename(request, None)
            answer["Content-Disposition"] = f'inline; filename="{name}"'
        answer["ETag"] = etag
        return answer


@cache
def _document(renderer: Callable[[], Any]) -> tuple[bytes, str]:
    """The document and its entity tag."""
    with translation.override(settings.LANGUAGE_CODE):
        generator = SchemaView.generator_class()
        document = generator.get_schema(request=None, public=True)
        content = renderer().render(document)
    return content, f'"{sha256(content).hexdigest()[:32]}"'
