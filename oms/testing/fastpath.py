"""A client that uses the fast path for requests that it accepts, and Django for others."""

from __future__ import annotations

import json
import time
from typing import Any

from django.http import HttpResponse
from rest_framework.test import APIClient

from oms.fastpath.batches import answer_batch
from oms.fastpath.calls import accept
from oms.fastpath.requests import FastPathRequest
from oms.fastpath.routes import find_route


class FastPathClient(APIClient):
    """REST framework's client, with the fast path before Django as in the web process.

    `taken` has for each request of a hot route whether the fast path answered it.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.taken: list[bool] = []

    def request(self, **request: Any) -> Any:
        client: Any = self  # the stubs leave out what the superclasses make requests with
        environ = client._base_environ(**{**self.defaults, **client._credentials, **request})
        route, id = find_route(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if route is None:
            return super().request(**request)
        body = environ["wsgi.input"].read()
        call = accept(_fast_path_request(environ, body), route=route, id=id)
        [answered] = [None] if call is None else answer_batch([call])
        self.taken.append(answered is not None)
        if answered is None:
            if body:
                request["wsgi.input"] = type(environ["wsgi.input"])(body)
            return super().request(**request)
        response: Any = HttpResponse(
            answered.body, status=answered.status, headers=dict(answered.headers)
        )
        if "Content-Type" not in answered.headers:
            del response["Content-Type"]
        response.json = lambda: json.loads(answered.body)
        return response


def _fast_path_request(environ: dict[str, Any], body: bytes) -> FastPathRequest:
    headers = {
        name.removeprefix("HTTP_").lower().replace("_", "-"): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }
    if not headers.get("cookie"):
        headers.pop("cookie", None)  # the client makes an empty one
    return FastPathRequest(
        method=environ["REQUEST_METHOD"],
        path=environ["PATH_INFO"],
        query=environ.get("QUERY_STRING", "").encode(),
        headers={"host": "testserver", **headers},
        body=body,
        scheme=environ["wsgi.url_scheme"],
        client=(environ.get("REMOTE_ADDR", ""), 0),
        arrived=time.monotonic(),
    )
