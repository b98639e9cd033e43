"""The pages of the API's document in a real browser."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import Request, Response, expect

from oms.testing.chromium import chromium
from oms.testing.processes import Processes


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
    server: Processes, path: str, operations: str
) -> None:
    schema = httpx.get(f"{server.web_url}/api/schema", headers={"Accept": "application/json"})
    total = sum(map(len, schema.json()["paths"].values()))
    answered: list[Response] = []
    failed: list[Request] = []

    with chromium(base_url=server.web_url) as browser:
        page = browser.new_page()
        page.on("response", lambda response: answered.append(response))
        page.on("requestfailed", lambda request: failed.append(request))
        page.goto(path)
        expect(page.locator(operations)).to_have_count(total, timeout=30_000)
        page.wait_for_load_state("networkidle")
        # What the page's own policy forbids has never left the browser.
        sent = [request.url for request in failed if request.failure != "csp"]
        answers = [(response.status, response.url) for response in answered]

    inside = (f"{server.web_url}/", f"blob:{server.web_url}/", "data:")
    assert sent == []
    assert answers
    assert all(status == 200 and url.startswith(inside) for status, url in answers), answers
