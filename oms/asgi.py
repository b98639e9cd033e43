"""The ASGI application, served by granian: the fast path, streams, and Django for the rest."""

from __future__ import annotations

from oms.wsgi import application as django  # first, for it sets Django up

import oms.urls  # noqa: F401  # isort: skip  # now, and not during the first request
from oms.fastpath.application import Application  # isort: skip
from oms.streams.server import StreamServer  # isort: skip

application = Application(django, streams=StreamServer)
