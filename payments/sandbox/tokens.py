"""The test tokens and their effects."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """The effect of a token. By default a charge succeeds at once.

    `decline_code`       the charge is declined for that reason
    `fails_first`        503 to the first attempt of each key, with nothing recorded
    `is_slow`            the response comes some seconds late
    `is_answered`        False: the charge is recorded, but only a second attempt gets a response
    `doubles_webhooks`   each webhook is delivered twice, and out of order
    `fails_refunds`      refunds of the charge fail
    """

    decline_code: str = ""
    decline_message: str = ""
    fails_first: bool = False
    is_slow: bool = False
    is_answered: bool = True
    doubles_webhooks: bool = False
    fails_refunds: bool = False


_DECLINED = "card_declined"
_DECLINED_MESSAGE = "The bank declined the card."

TOKENS = {
    "tok_success": Behaviour(),
    "tok_declined": Behaviour(decline_code=_DECLINED, decline_message=_DECLINED_MESSAGE),
    "tok_insufficient_funds": Behaviour(
        decline_code="insufficient_funds", decline_message="The account does not hold enough money."
    ),
    "tok_error_then_success": Behaviour(fails_first=True),
    "tok_timeout_success": Behaviour(is_answered=False),
    "tok_timeout_declined": Behaviour(
        decline_code=_DECLINED, decline_message=_DECLINED_MESSAGE, is_answered=False
    ),
    "tok_slow": Behaviour(is_slow=True),
    "tok_duplicate_webhook": Behaviour(doubles_webhooks=True),
    "tok_refund_fails": Behaviour(fails_refunds=True),
}
