"""The pytest plugin that gives the tests a real PostgreSQL, Valkey and processes.

It is loaded by `-p` in pyproject.toml, before pytest-django reads the settings.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from oms.testing import environment

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

    from oms.testing.processes import Processes


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Start the services before the settings are read; wrappers run before pytest-django's hook."""
    asked = early_config.known_args_namespace
    # Pytest runs its cleanups also after Ctrl-C and after an error of the start.
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        early_config.add_cleanup(environment.separate_worker(worker))
    elif not (asked.help or asked.version):
        has_workers = bool(getattr(asked, "numprocesses", None))
        early_config.add_cleanup(environment.start_services(has_workers=has_workers))
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long tests that need no database, where several workers share the tests.

    At the end one of them would keep a single worker busy. Those that use the database stay where
    pytest-django puts them: what a transactional test empties, the others rely on.
    """
    if os.environ.get("PYTEST_XDIST_WORKER"):
        items.sort(key=lambda item: not _is_long_and_apart(item))


def _is_long_and_apart(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    uses_database = item.get_closest_marker("django_db") or fixtures & {"db", "transactional_db"}
    return item.get_closest_marker("slow") is not None and not uses_database


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
    """Create content types and permissions once, with the database, and not after each flush.

    A flush keeps them: see oms/testing/postgresql/base.py.
    """
    result = yield
    if fixturedef.argname == "django_db_setup":
        from django.contrib.auth.management import create_permissions
        from django.contrib.contenttypes.management import create_contenttypes
        from django.db.models import signals

        signals.post_migrate.disconnect(create_contenttypes)
        signals.post_migrate.disconnect(
            create_permissions, dispatch_uid="django.contrib.auth.management.create_permissions"
        )
    return result


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker of tests that take seconds."""
    config.addinivalue_line(
        "markers", "slow: takes seconds, for example with real processes; skip with -m 'not slow'"
    )


@pytest.fixture(autouse=True)
def _empty_valkey() -> None:
    """Forget the rate limits, cached values and messages of the test before."""
    from django.core.cache import cache

    cache.clear()


@pytest.fixture(params=["django", "lane"])
def both_fronts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a test of the API by Django alone, and once more with the hot lane before it."""
    from oms.testing import factories
    from oms.testing.fastpath import FastPathClient

    if request.param == "lane":
        monkeypatch.setattr(factories, "client_class", FastPathClient)
    return str(request.param)


@pytest.fixture
def processes(transactional_db: None, settings: Settings) -> Iterator[Processes]:
    """Starts real web servers, workers and payment providers on this test's database.

    They see only what is committed, so the test is a transactional one. The code of the test itself
    reaches the same provider.
    """
    from oms.testing.processes import Processes

    with Processes() as started:
        settings.SANDBOX_PROVIDER_URL = started.provider_url
        yield started
