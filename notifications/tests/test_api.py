"""GET /notifications and PUT /notifications/{id}/read."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from notifications.models import Channel, Notification
from notifications.tests.mail_senders import MakeMails
from oms.testing.factories import api_client, make_customer, make_staff
from oms.users.models import User

pytestmark = pytest.mark.django_db

URL = "/api/v1/notifications"


@pytest.fixture
def customer(mails: MakeMails) -> User:
    """A customer with three notifications, in a shop with another customer."""
    mails(1)
    [mail, *_] = mails(3)
    assert mail.recipient is not None
    return mail.recipient


def inbox_of(user: User) -> list[Notification]:
    rows = Notification.objects.filter(recipient=user, channel=Channel.IN_APP)
    return list(rows.order_by("-id"))


def test_customers_see_their_own_newest_first(customer: User) -> None:
    answer = api_client(customer).get(URL)

    assert answer.status_code == 200
    rows = inbox_of(customer)
    assert [row["id"] for row in answer.json()["results"]] == [str(row.id) for row in rows]
    first = answer.json()["results"][0]
    assert first == {
        "id": str(rows[0].id),
        "kind": "order_placed",
        "subject": rows[0].subject,
        "body": rows[0].body,
        "order_id": str(rows[0].order_id),
        "read_at": None,
        "created_at": first["created_at"],
    }
    assert first["created_at"].endswith("Z")


def test_pages_follow_each_other_by_cursor(customer: User) -> None:
    client = api_client(customer)

    first = client.get(URL, {"page_size": 2}).json()
    second = client.get(first["next"]).json()

    ids = [row["id"] for row in first["results"] + second["results"]]
    assert ids == [str(row.id) for row in inbox_of(customer)]
    assert second["next"] is None


def test_a_page_takes_one_statement(customer: User) -> None:
    client = api_client(customer)

    with CaptureQueriesContext(connection) as queries:
        client.get(URL)

    of_notifications = [q for q in queries if "notifications_notification" in q["sql"]]
    assert len(of_notifications) == 1
    assert "body_html" not in of_notifications[0]["sql"]


def test_a_read_notification_is_no_longer_unread(customer: User) -> None:
    client = api_client(customer)
    newest, *others = inbox_of(customer)

    answer = client.put(f"{URL}/{newest.id}/read")

    assert answer.status_code == 200
    assert answer.json()["read_at"] is not None
    unread = client.get(URL, {"unread": "true"}).json()["results"]
    assert [row["id"] for row in unread] == [str(row.id) for row in others]
    read = client.get(URL, {"unread": "false"}).json()["results"]
    assert [row["id"] for row in read] == [str(newest.id)]


def test_marking_as_read_is_idempotent(customer: User) -> None:
    client = api_client(customer)
    [newest, *_] = inbox_of(customer)

    first = client.put(f"{URL}/{newest.id}/read").json()
    second = client.put(f"{URL}/{newest.id}/read").json()

    assert second == first


def test_notifications_of_others_are_not_found(customer: User) -> None:
    [newest, *_] = inbox_of(customer)

    for stranger in (make_customer(), make_staff()):
        answer = api_client(stranger).put(f"{URL}/{newest.id}/read")
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"
        assert api_client(stranger).get(URL).json()["results"] == []

    newest.refresh_from_db()
    assert newest.read_at is None


def test_an_email_cannot_be_marked_as_read(customer: User) -> None:
    mail = Notification.objects.filter(recipient=customer, channel=Channel.EMAIL).first()
    assert mail is not None

    assert api_client(customer).put(f"{URL}/{mail.id}/read").status_code == 404


def test_notifications_require_authentication(customer: User) -> None:
    [newest, *_] = inbox_of(customer)

    assert api_client().get(URL).status_code == 401
    assert api_client().put(f"{URL}/{newest.id}/read").status_code == 401


@pytest.mark.parametrize("query", [{"unread": "yes"}, {"unred": "true"}, {"kind": "low_stock"}])
def test_an_invalid_filter_is_rejected(customer: User, query: dict[str, str]) -> None:
    answer = api_client(customer).get(URL, query)

    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["parameter"] == next(iter(query))
