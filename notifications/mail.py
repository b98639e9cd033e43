"""The shape of the mail that goes out, and what an error of the mail server means."""

from __future__ import annotations

import smtplib
from email.policy import Compat32
from email.utils import formataddr, parseaddr
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.mail import EmailMultiAlternatives

from notifications.models import Notification


def composed(notification: Notification) -> EmailMultiAlternatives:
    """The e-mail as text and HTML.

    Its Message-ID is always the same, so a mail that goes out twice can be known as one (RFC 5322,
    section 3.6.4). All mails about an order refer to the same id, so mail programs put them
    together. Auto-Submitted keeps out-of-office answers away (RFC 3834).
    """
    name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    domain = address.rpartition("@")[2] or "localhost"
    headers = {
        "Message-ID": notification.message_id,
        "Auto-Submitted": "auto-generated",
        "List-Id": formataddr((settings.SHOP_NAME, f"notifications.{domain}")),
    }
    if notification.order_id is not None:
        headers["References"] = f"<order-{notification.order_id}@{domain}>"
    mail = _Mail(
        subject=notification.subject,
        body=notification.body,
        from_email=formataddr((name or settings.SHOP_NAME, address)),
        to=[notification.email],
        headers=headers,
    )
    if notification.body_html:
        mail.attach_alternative(notification.body_html, "text/html")
    return mail


class _Policy(Compat32):
    """Writes plain short headers as they are, which the standard library takes long to find out."""

    def fold_binary(self, name: str, value: str) -> bytes:
        """The header as it goes out."""
        is_plain = isinstance(value, str) and value.isascii() and value.isprintable()
        if is_plain and len(name) + len(value) < _LINE:
            return f"{name}: {value}{self.linesep}".encode("ascii")
        return super().fold_binary(name, value)


class _Mail(EmailMultiAlternatives):
    def message(self, **options: Any) -> Any:
        """The mail with its parts; later versions of Django have options."""
        message = super().message(**options)
        if message.is_multipart():
            # A random one; the standard library searches the parts for its own ones.
            message.set_boundary(f"={uuid4().hex}=")
        for part in message.walk():
            part.policy = _POLICY
        return message


# RFC 5322 asks for lines of at most 78 characters.
_LINE = 76
_POLICY = _Policy()


def is_final(error: Exception) -> bool:
    """Whether sending the same mail again is pointless.

    A ValueError is about the mail itself, such as an address that is none. A mail server refuses
    for good with a code from 500 on (RFC 5321, section 4.2.1); where it refuses the sender or the
    log-in, though, the fault is not the mail's.
    """
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPDataError):
        return error.smtp_code >= 500
    return isinstance(error, ValueError) and not isinstance(error, OSError)
