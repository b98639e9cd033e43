"""What the operations of users refuse."""

from oms.core.errors import Conflict, Forbidden, NotAuthenticated


class EmailTaken(Conflict):
    """There is an account with this e-mail address already."""

    code = "email_taken"


class BadCredentials(NotAuthenticated):
    """The e-mail address or the password is wrong, or the account is not active."""

    code = "bad_credentials"


class TokenInvalid(NotAuthenticated):
    """The token is invalid, expired, used or revoked."""

    code = "token_invalid"


class SuperuserNeeded(Forbidden):
    """Only superusers change the accounts of other staff, and what somebody may do."""

    code = "superuser_needed"


class OwnRights(Forbidden):
    """Nobody deactivates their own account, or changes whether it is one of staff."""

    code = "own_rights"


class GroupNameTaken(Conflict):
    """There is a group with this name already."""

    code = "group_name_taken"
