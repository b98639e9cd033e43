"""Streams through nginx, configured by deploy/nginx.conf."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest

from oms.devserver.ports import free_port
from oms.testing.environment import ROOT
from oms.testing.factories import make_customer, make_product, tokens_for
from oms.testing.ordering import place
from oms.testing.streams import streamed, web_socket
from oms.users.models import User

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

_NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
_MAIN = """
daemon off;
worker_processes 1;
error_log stderr;
pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/shop.conf;
}}
"""


@pytest.fixture(scope="module")
def proxy(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of nginx before the web process; a silent connection is closed after 17 s."""
    if _NGINX is None:
        pytest.skip("nginx is not installed (apt-get install nginx-light)")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    server = (ROOT / "deploy" / "nginx.conf").read_text()
    for old, new in (
        ("127.0.0.1:8000", url.removeprefix("http://")),
        ("listen 80", f"listen 127.0.0.1:{port}"),
        ("proxy_read_timeout 30s", "proxy_read_timeout 17s"),
    ):
        assert server.count(old) == 1
        server = server.replace(old, new)
    (folder / "shop.conf").write_text(server)
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder))
    with subprocess.Popen([_NGINX, "-p", folder, "-c", folder / "nginx.conf"]) as process:
        try:
            _wait_until_listening(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_until_listening(port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("nginx does not listen.")


def access(user: User) -> str:
    return tokens_for(user).access


def test_events_pass_at_once(proxy: str) -> None:
    buyer, mug = make_customer(), make_product()
    with streamed(proxy, "orders", token=access(buyer)) as stream:
        order = place((mug, 1), customer=buyer)
        assert stream.next(seconds=5).data["order_id"] == str(order.id)

    with web_socket(proxy, token=access(buyer)) as socket_client:
        socket_client.ask(type="subscribe", topics=["orders"])
        order = place((mug, 1), customer=buyer)
        assert socket_client.receive()["data"]["order_id"] == str(order.id)


def test_what_is_not_a_stream_is_answered_as_without_it(proxy: str, url: str) -> None:
    for path in ("/health", "/api/v1/products", "/api/v1/orders"):
        assert httpx.get(f"{proxy}{path}").status_code == httpx.get(f"{url}{path}").status_code
    answer = httpx.get(f"{proxy}/api/v1/stream?topics=orders")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_a_stream_without_events_outlives_the_time_limit_of_the_proxy(proxy: str) -> None:
    """Heartbeats come every 15 seconds: with longer pauses both would be cut after 17."""
    buyer, mug = make_customer(), make_product()
    with (
        streamed(proxy, "orders", token=access(buyer)) as stream,
        web_socket(proxy, token=access(buyer)) as socket_client,
    ):
        socket_client.ask(type="subscribe", topics=["orders"])
        assert stream.is_silent(seconds=20)
        assert stream.comments >= 1
        order = place((mug, 1), customer=buyer)
        assert stream.next().data["order_id"] == str(order.id)
        assert socket_client.receive() == {"type": "heartbeat"}
        assert socket_client.receive()["data"]["order_id"] == str(order.id)
