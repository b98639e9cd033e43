"""A real SMTP server in a thread that rejects mail or drops connections on request."""

from __future__ import annotations

import asyncio
import email
import email.policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from oms.devserver.ports import free_port


class MailServer:
    """Receives mail on a port of 127.0.0.1.

    `rejections` are the responses to the next recipients, such as "451 greylisted"; "" accepts one.
    Of the next mails `drop_before` are lost with their connection, and `drop_after` are kept, but
    the connection is dropped before the response.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.port = port or free_port()
        self.messages: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.rejections: list[str] = []
        self.drop_before = 0
        self.drop_after = 0
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
        """The Message-IDs of the mails, in order of arrival."""
        return [str(message["Message-ID"]) for message in self.messages]

    async def handle_RCPT(  # the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[Any]
    ) -> str:
        if self.rejections and (rejection := self.rejections.pop(0)):
            return rejection
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.drop_before:
            self.drop_before -= 1
            self._drop(server)
            return "451 never arrives"
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        self.recipients.extend(envelope.rcpt_tos)
        if self.drop_after:
            self.drop_after -= 1
            self._drop(server)
        return "250 OK"

    def _drop(self, server: SMTP) -> None:
        assert isinstance(server.transport, asyncio.Transport)
        server.transport.abort()
