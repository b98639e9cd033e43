"""The system's Chromium, for tests of pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@contextmanager
def chromium(*, base_url: str) -> Iterator[BrowserContext]:
    """A new profile of the browser, in which "/admin/" is a page of `base_url`.

    Skips the test where there is no browser.
    """
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    # Playwright runs an event loop in this thread, where Django refuses database queries.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        if found is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("Chromium is not installed (apt-get install chromium)")
        browser = playwright.chromium.launch(executable_path=found, args=list(_QUIET))
        context = browser.new_context(base_url=base_url, locale="en")
        context.set_default_timeout(10_000)
        yield context
        browser.close()
