"""Exits with 0 if the web server of this container is healthy, else with 1."""

from __future__ import annotations

import http.client
import os
import sys
import urllib.request

# A host that Django accepts: the address itself need not be in ALLOWED_HOSTS.
host = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].lstrip(".") or "localhost"
request = urllib.request.Request(
    f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/health",
    headers={"Host": "localhost" if host == "*" else host},
)
try:
    urllib.request.urlopen(request, timeout=4).close()  # noqa: S310
except (OSError, http.client.HTTPException):
    sys.exit(1)
