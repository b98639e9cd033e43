"""The pages of the API's document in a real browser."""

from __future__ import annotations

import os
import shutil

import httpx
import pytest
from playwright.sync_api import Request, Response, expect, sync_playwright

from oms.testing.processes import Processes

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


@pytest.fixture(scope="module")
def server(module_processes: Processes) -> Processes:
    module_processes.start("web")
    return module_processes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "operations"),
    [("/api/docs", ".opblock"), ("/api/redoc", "div[data-section-id*='/operation/']")],
)
def test_a_page_shows_every_operation_and_calls_no_other_server(
    server: Processes, monkeypatch: pytest.MonkeyPatch, path: str, operations: str
) -> None:
    # Playwright runs an event loop in this thread, where Django would not ask the database.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    schema = httpx.get(f"{server.web_url}/api/schema", headers={"Accept": "application/json"})
    total = sum(map(len, schema.json()["paths"].values()))
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _CHROMIUM)), None)
    answered: list[Response] = []
    failed: list[Request] = []

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(_QUIET))
        page = browser.new_page()
        page.on("response", lambda response: answered.append(response))
        page.on("requestfailed", lambda request: failed.append(request))
        page.goto(server.web_url + path)
        expect(page.locator(operations)).to_have_count(total, timeout=30_000)
        page.wait_for_load_state("networkidle")
        # What the page's own policy forbids has never left the browser.
        sent = [request.url for request in failed if request.failure != "csp"]
        answers = [(response.status, response.url) for response in answered]
        browser.close()

    inside = (f"{server.web_url}/", f"blob:{server.web_url}/", "data:")
    assert sent == []
    assert answers
    assert all(status == 200 and url.startswith(inside) for status, url in answers), answers
