"""The recipes of docs/live.md, executed as printed, against a real server that restarts."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connections

from oms.testing.chromium import chromium
from oms.testing.environment import ROOT
from oms.testing.event_log import lose_events
from oms.testing.factories import make_customer, make_product, tokens_for
from oms.testing.ordering import place
from oms.testing.processes import Processes, RunningProcess
from oms.users.models import User

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

_SECONDS = 40.0


def recipe(language: str) -> str:
    """The only block of that language."""
    [code] = re.findall(
        rf"^```{language}\n(.*?)^```$", (ROOT / "docs" / "live.md").read_text(), re.DOTALL | re.M
    )
    return str(code)


def wait_for(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + _SECONDS
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)


class Restarts:
    """A web process that is away for a while, and a log that loses all positions."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._web: RunningProcess = self._start()
        self.url = processes.web_url

    def _start(self) -> RunningProcess:
        return self._processes.start("web", {"WEB_THREADS": "4"})

    def restart(self, meanwhile: Callable[[], Any]) -> None:
        self._web.terminate()
        meanwhile()
        time.sleep(2)
        self._web = self._start()

    def restart_without_events(self) -> None:
        self.restart(lose_events)


@pytest.fixture
def server(processes: Processes) -> Restarts:
    return Restarts(processes)


class Ended(Exception):
    """Ends a recipe, which has no end of its own."""


def order_ids(buyer: User, mug: Any, *, number: int) -> list[str]:
    return [str(place((mug, 1), customer=buyer).id) for _ in range(number)]


def test_the_recipe_for_python(server: Restarts) -> None:
    buyer, mug = make_customer(), make_product(stock=100)
    access = tokens_for(buyer).access
    got: list[str] = []
    state = SimpleNamespace(reloads=0, is_ended=False)

    def handle(kind: str, data: dict[str, Any]) -> None:
        if kind == "order.placed":
            got.append(data["order_id"])

    def access_token() -> str:
        if state.is_ended:
            raise Ended
        return access

    def reload() -> None:
        state.reloads += 1

    names: dict[str, Any] = {
        "BASE": f"{server.url}/api/v1",
        "access_token": access_token,
        "handle": handle,
        "reload": reload,
    }
    exec(recipe("python"), names)  # noqa: S102  # our own

    def run() -> None:
        with pytest.raises(Ended):
            names["follow"]()

    following = threading.Thread(target=run, daemon=True)
    following.start()
    wait_for(lambda: state.reloads == 1)
    orders = order_ids(buyer, mug, number=3)
    wait_for(lambda: len(got) == 3)
    server.restart(lambda: orders.extend(order_ids(buyer, mug, number=3)))
    wait_for(lambda: len(got) == 6)
    server.restart_without_events()
    wait_for(lambda: state.reloads == 2)
    orders += order_ids(buyer, mug, number=1)
    wait_for(lambda: len(got) == 7)
    assert got == orders

    state.is_ended = True
    server.restart(lambda: None)
    following.join(timeout=_SECONDS)
    assert not following.is_alive()


def test_the_recipe_for_browsers(server: Restarts) -> None:
    buyer, mug = make_customer(), make_product(stock=100)
    token = tokens_for(buyer).access
    with chromium(base_url=server.url) as browser:
        page = browser.new_page()
        # A page of the shop's origin whose policy lets the test run scripts.
        page.route("**/recipe", lambda route: route.fulfill(body="", content_type="text/html"))
        page.goto("/recipe")
        page.evaluate(
            f"""(token) => {{
                window.got = [];
                window.reloads = 0;
                const accessToken = async () => token;
                const reload = () => {{ window.reloads++; }};
                const show = (kind, data) => window.got.push(data.order_id);
                {recipe("js")}
                follow();
            }}""",
            token,
        )

        def wait(condition: str) -> None:
            page.wait_for_function(condition, timeout=_SECONDS * 1000)

        wait("window.reloads === 1")
        orders = order_ids(buyer, mug, number=3)
        wait("window.got.length === 3")
        server.restart(lambda: orders.extend(order_ids(buyer, mug, number=3)))
        wait("window.got.length === 6")
        server.restart_without_events()
        wait("window.reloads === 2")
        orders += order_ids(buyer, mug, number=1)
        wait("window.got.length === 7")
        assert page.evaluate("window.got") == orders
        # The test has its own connection within the browser's event loop.
        connections.close_all()
