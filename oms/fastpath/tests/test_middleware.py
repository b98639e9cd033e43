"""Every middleware of the settings is honoured by the fast path, or the start fails."""

from __future__ import annotations

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from oms.fastpath.middleware import MIDDLEWARE, check_middleware


def test_every_middleware_of_the_settings_is_listed_and_no_other() -> None:
    check_middleware()

    assert set(MIDDLEWARE) == set(django_settings.MIDDLEWARE)


def test_an_unknown_middleware_makes_the_start_fail(settings: Settings) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "shop.middleware.AddsAHeader"]

    with pytest.raises(ImproperlyConfigured, match="AddsAHeader"):
        check_middleware()
