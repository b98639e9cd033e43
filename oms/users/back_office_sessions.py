"""Sessions of the back office: Django's, with a limit without requests and one in any case."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseSessions

# A session is extended at most this often, so that not every request writes.
_EXTENDED_EVERY = 60
_BEGUN = "begun"


class SessionStore(DatabaseSessions):
    """Expires SESSION_COOKIE_AGE after its last use, and SESSION_LIFETIME after the login."""

    def load(self) -> dict[str, Any]:
        """The session's data; marks it for saving when it is due to be extended."""
        store: Any = self  # the stubs leave out what the base class offers
        row = store._get_session_from_db()
        if row is None:
            return {}
        data: dict[str, Any] = self.decode(row.session_data)
        gained = time.time() + _seconds_left(data) - row.expire_date.timestamp()
        if gained >= _EXTENDED_EVERY:
            self.modified = True
        return data

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        """The row to save."""
        if SESSION_KEY in data:
            data.setdefault(_BEGUN, time.time())
        return super().create_model_instance(data)

    def get_session_cookie_age(self) -> int:
        """The seconds until the session expires if it is not used."""
        store: Any = self
        return _seconds_left(store._session)


def _seconds_left(data: dict[str, Any]) -> int:
    limit = data.get(_BEGUN, time.time()) + settings.SESSION_LIFETIME
    return max(min(settings.SESSION_COOKIE_AGE, int(limit - time.time())), 0)
