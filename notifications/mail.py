"""Composing e-mails, and classifying the errors of mail servers."""

from __future__ import annotations

import smtplib
from email.policy import Compat32
from email.utils import formataddr, parseaddr
from functools import lru_cache
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.mail import EmailMultiAlternatives

from notifications.models import Kind, Notification
from notifications.staff_messages import PASSWORD_LINK
from oms.users.operations.password_links import password_link


def compose_mail(notification: Notification) -> EmailMultiAlternatives:
    """The e-mail as text and HTML.

    The Message-ID never changes, so receivers can detect a duplicate (RFC 5322, section 3.6.4). All
    mails about an order reference the same id, so mail programs show them as one thread.
    Auto-Submitted suppresses out-of-office replies (RFC 3834). Secret links are made here, so that
    nothing but the mail itself contains them.
    """
    texts = [notification.body, notification.body_html]
    if notification.kind == Kind.STAFF_INVITED and notification.recipient_id is not None:
        link = password_link(notification.recipient_id)
        texts = [text.replace(PASSWORD_LINK, link) for text in texts]
    body, body_html = texts
    sender, domain, list_id = _sender(settings.DEFAULT_FROM_EMAIL, settings.SHOP_NAME)
    headers = {
        "Message-ID": notification.message_id,
        "Auto-Submitted": "auto-generated",
        "List-Id": list_id,
    }
    if notification.order_id is not None:
        headers["References"] = f"<order-{notification.order_id}@{domain}>"
    return _Mail(
        subject=notification.subject,
        body=body,
        from_email=sender,
        to=[notification.email],
        headers=headers,
        alternatives=[(body_html, "text/html")],
    )


@lru_cache
def mail_domain(from_email: str) -> str:
    """The domain of an address with or without a display name."""
    return parseaddr(from_email)[1].rpartition("@")[2] or "localhost"


@lru_cache
def _sender(from_email: str, shop: str) -> tuple[str, str, str]:
    """The From header, its domain, and the List-Id (RFC 2919)."""
    name, address = parseaddr(from_email)
    domain = mail_domain(from_email)
    return (
        formataddr((name or shop, address)),
        domain,
        formataddr((shop, f"notifications.{domain}")),
    )


class _Mail(EmailMultiAlternatives):
    """Django's message, serialised in half the time (docs/decisions/0018-mail.md)."""

    def message(self, **options: Any) -> Any:
        message: Any = super().message(**options)
        # Otherwise the standard library compiles a regular expression and searches all parts.
        message.set_boundary(uuid4().hex)
        message.policy = _POLICY
        return message


class _Policy(Compat32):
    """Writes short ASCII headers as they are, without parsing and folding them first."""

    def fold_binary(self, name: str, value: str) -> bytes:
        if len(name) + len(value) < _LINE_LENGTH and value.isascii() and value.isprintable():
            return f"{name}: {value}{self.linesep}".encode("ascii")
        return super().fold_binary(name, value)


# RFC 5322 recommends lines of at most 78 characters; ": " is two of them.
_LINE_LENGTH = 76
_POLICY = _Policy()


def is_permanent_failure(error: Exception) -> bool:
    """Whether sending the same mail again is pointless.

    A ValueError means that the mail itself is invalid, such as its address. Mail servers reject
    permanently with codes from 500 (RFC 5321, section 4.2.1); rejections of the sender or the login
    are not the mail's fault.
    """
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPDataError):
        return error.smtp_code >= 500
    return isinstance(error, ValueError) and not isinstance(error, OSError)


def is_connection_failure(error: Exception) -> bool:
    """Whether the mail server or the disk is at fault, and the connection of no more use.

    What a mail server answers about one mail is not, but for 421, with which it closes the
    connection (RFC 5321, section 3.8).
    """
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code == _CLOSING
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return any(code == _CLOSING for code, _ in error.recipients.values())
    return isinstance(error, OSError)


_CLOSING = 421
