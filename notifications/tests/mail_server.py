"""A real SMTP server in a thread, which refuses, breaks off or forgets to answer when told to."""

from __future__ import annotations

import asyncio
import email
import email.policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from oms.devserver import free_port


class MailServer:
    """Takes mail on a port of 127.0.0.1.

    `refusals` are answers to the next recipients, such as "451 greylisted"; "" takes one. Of the
    next mails `cut_before` are lost with their connection, and `cut_after` are kept, but the
    connection breaks before the answer.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.port = port or free_port()
        self.messages: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.refusals: list[str] = []
        self.cut_before = 0
        self.cut_after = 0
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._controller.stop()

    @property
    def message_ids(self) -> list[str]:
        """The Message-IDs of the mails, in the order in which they came."""
        return [str(message["Message-ID"]) for message in self.messages]

    async def handle_RCPT(  # the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[Any]
    ) -> str:
        if self.refusals and (refusal := self.refusals.pop(0)):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.cut_before:
            self.cut_before -= 1
            self._cut(server)
            return "451 never arrives"
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        self.recipients.extend(envelope.rcpt_tos)
        if self.cut_after:
            self.cut_after -= 1
            self._cut(server)
        return "250 OK"

    def _cut(self, server: SMTP) -> None:
        assert isinstance(server.transport, asyncio.Transport)
        server.transport.abort()
