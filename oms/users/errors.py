"""What the operations of users refuse."""

from oms.core.errors import Conflict, NotAuthenticated


class EmailTaken(Conflict):
    """There is an account with this e-mail address already."""

    code = "email_taken"


class BadCredentials(NotAuthenticated):
    """The e-mail address or the password is wrong, or the account is not active."""

    code = "bad_credentials"


class TokenInvalid(NotAuthenticated):
    """The token is invalid, expired, used or revoked."""

    code = "token_invalid"
