"""The pytest plugin that starts PostgreSQL, Valkey and processes for the tests.

It is loaded by `-p` in pyproject.toml, before pytest-django reads the settings.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from oms.testing import environment

if TYPE_CHECKING:
    from pytest_django import DjangoDbBlocker
    from pytest_django.fixtures import Settings

    from oms.testing.processes import Processes


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Start the services before the settings are read; wrappers run before pytest-django's hook."""
    options = early_config.known_args_namespace
    # Pytest runs its cleanups also after Ctrl-C and after an error of the start.
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        early_config.add_cleanup(environment.separate_worker(worker))
    elif not (options.help or options.version):
        has_workers = bool(getattr(options, "numprocesses", None))
        early_config.add_cleanup(environment.start_services(has_workers=has_workers))
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run long tests without a database first, where several workers share the tests.

    At the end one of them would keep a single worker busy. Those that use the database stay where
    pytest-django puts them: what a transactional test empties, the others rely on.
    """
    if os.environ.get("PYTEST_XDIST_WORKER"):
        items.sort(key=lambda item: not _is_slow_without_database(item))


def _is_slow_without_database(item: pytest.Item) -> bool:
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
    config.addinivalue_line(
        "markers", "slow: takes seconds, for example with real processes; skip with -m 'not slow'"
    )
    config.addinivalue_line(
        "markers",
        "fault: waits for the time limits of real processes; run by `make faults`, and those that"
        " are slow too at full size alone",
    )


@pytest.fixture(autouse=True)
def _empty_valkey() -> None:
    """Forget the rate limits, cached values and messages of the test before."""
    from django.core.cache import cache

    cache.clear()


@pytest.fixture(params=["django", "fast_path"])
def both_fronts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a test of the API by Django alone, and once more with the fast path before it."""
    from oms.testing import factories
    from oms.testing.fastpath import FastPathClient

    if request.param == "fast_path":
        monkeypatch.setattr(factories, "client_class", FastPathClient)
    return str(request.param)


@pytest.fixture(scope="module")
def module_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The database for fixtures of scope "module": all tests of the module see their rows.

    It is a transaction around the module, in which each test's own is a savepoint; so it is not for
    modules with transactional tests.
    """
    from django.db import transaction

    block = transaction.atomic()
    setattr(block, "_from_testcase", True)  # noqa: B010  # unknown to the stubs
    with django_db_blocker.unblock(), block:
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def module_processes(django_db_setup: None) -> Iterator[Processes]:
    """Like `processes`, for fixtures of scope "module", whose tests must be transactional ones."""
    from oms.testing.processes import Processes

    with Processes() as started:
        yield started


@pytest.fixture
def processes(transactional_db: None, settings: Settings) -> Iterator[Processes]:
    """Starts web servers, workers and payment providers on this test's database.

    They see only what is committed, so the test is a transactional one. The code of the test itself
    uses the same provider.
    """
    from oms.testing.processes import Processes

    with Processes() as started:
        settings.SANDBOX_PROVIDER_URL = started.provider_url
        yield started
