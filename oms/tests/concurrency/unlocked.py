"""Settings of a shop that does not lock its stock: what a race test must not survive.

A test gives them to real processes by DJANGO_SETTINGS_MODULE. Nothing in the shop knows of them.
"""

from __future__ import annotations

from django.apps import AppConfig

from oms.testing.settings import *  # noqa: F403
from oms.testing.settings import INSTALLED_APPS


class Unlocked(AppConfig):
    """Takes the lock out of the statement that reads the stock levels."""

    name = "oms.tests.concurrency"
    label = "unlocked"

    def ready(self) -> None:
        """Replace the statement; fails where there is no lock to take out of it."""
        from inventory import locks  # its models exist only now

        unlocked = locks._LOCK_LEVELS.replace("FOR NO KEY UPDATE OF level", "")
        if unlocked == locks._LOCK_LEVELS:
            raise RuntimeError("The statement has no lock that could be taken away.")
        locks._LOCK_LEVELS = unlocked


INSTALLED_APPS = [*INSTALLED_APPS, f"{__name__}.{Unlocked.__name__}"]
