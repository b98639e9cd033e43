"""Security headers and attributes of cookies."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import unfold
from django.test import Client
from django.urls import reverse

from oms.settings import security
from oms.testing.factories import PASSWORD, api_client, make_product, make_staff
from oms.testing.processes import Processes

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PAGES = ("/", "/admin/login/", "/admin/nothing", "/nothing", "/api/docs", "/api/redoc")
DATA = ("/health", "/api/schema", "/api/v1/products", "/api/v1/nothing", "/api/v1/orders")


def policy_of(answer: Any) -> dict[str, str]:
    directives = (
        part.strip().split(" ", 1) for part in answer["Content-Security-Policy"].split(";")
    )
    return {name: " ".join(sources) for name, *sources in directives}


def _form_token(page: str) -> str:
    return page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]


@pytest.mark.django_db
@pytest.mark.parametrize("path", [*PAGES, *DATA])
def test_every_answer_has_the_headers(path: str, both_fronts: str) -> None:
    answer = api_client().get(path, headers={"accept": "text/html, application/json"})

    assert {name: answer[name] for name in EVERYWHERE} == EVERYWHERE
    policy = policy_of(answer)
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert not answer.has_header("Strict-Transport-Security")


@pytest.mark.django_db
@pytest.mark.parametrize("path", PAGES)
def test_pages_run_only_the_scripts_of_this_site(path: str) -> None:
    policy = policy_of(Client().get(path, headers={"accept": "text/html"}))

    assert policy["script-src"] == "'self'"
    assert policy["base-uri"] == "'none'"
    assert "unsafe-eval" not in str(policy)
    assert "http" not in str(policy)


@pytest.mark.django_db
def test_answers_of_the_api_allow_nothing(both_fronts: str) -> None:
    product = make_product()

    for path in ("/api/v1/products", f"/api/v1/products/{product.pk}", "/api/v1/orders"):
        policy = policy_of(api_client().get(path))
        assert policy == {"default-src": "'none'", "frame-ancestors": "'none'"}, path


@pytest.mark.django_db
def test_each_page_has_a_nonce_of_its_own() -> None:
    pages = [Client().get("/admin/login/") for _ in range(2)]

    [one, other] = [policy_of(page)["style-src"] for page in pages]
    assert one != other
    nonce = one.split("'nonce-")[1].rstrip("'")
    assert f'nonce="{nonce}"' in pages[0].content.decode()


def test_our_copy_of_the_page_is_that_of_this_version_of_unfold() -> None:
    """Compare oms/templates/unfold/layouts/skeleton.html with the library's when this fails."""
    original = Path(unfold.__file__).parent / "templates/unfold/layouts/skeleton.html"

    assert sha256(original.read_bytes()).hexdigest() == (
        "66af9f0bb45f98ba4e16ba5e5a11f36d87b8e07430d19066d088b29548491c2e"
    )


@pytest.mark.django_db
def test_cookies_are_out_of_reach_of_scripts_and_other_sites() -> None:
    staff, client = make_staff(), Client()
    client.get("/admin/login/")
    client.post("/admin/login/", {"username": staff.email, "password": PASSWORD})

    assert set(client.cookies) == {security.SESSION_COOKIE_NAME, security.CSRF_COOKIE_NAME}
    for cookie in client.cookies.values():
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
        assert not cookie["domain"]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_behind_https_cookies_belong_to_this_host_and_hsts_is_sent_on_request(
    processes: Processes,
) -> None:
    staff = make_staff()
    processes.start("web", {"HTTPS": "1", "TRUSTED_PROXIES": "1", "HSTS_SECONDS": "600"})
    login = reverse("admin:login")
    # As a proxy that terminates TLS passes it on; cookies are returned by hand.
    headers = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "203.0.113.9",
        "Referer": f"{processes.web_url.replace('http:', 'https:')}{login}",
    }
    with httpx.Client(base_url=processes.web_url) as client:
        plain = client.get(login)
        page = client.get(login, headers=headers)
        [csrf] = page.headers.get_list("set-cookie")
        answer = client.post(
            login,
            headers={**headers, "Cookie": csrf.split(";")[0]},
            data={
                "username": staff.email,
                "password": PASSWORD,
                "csrfmiddlewaretoken": page.text.split('name="csrfmiddlewaretoken" value="')[1][
                    :64
                ],
            },
        )
        api = client.get("/api/v1/products", headers=headers)

    assert plain.status_code == 301
    assert plain.headers["location"].startswith("https://")
    assert answer.status_code == 302
    cookies = answer.headers.get_list("set-cookie")
    assert {cookie.split("=")[0] for cookie in cookies} == {"__Host-session", "__Host-csrf"}
    for cookie in [csrf, *cookies]:
        parts = {part.strip() for part in cookie.split(";")}
        assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} <= parts
        assert "Domain" not in cookie
    for one in (page, answer, api):
        assert one.headers["strict-transport-security"] == "max-age=600"
