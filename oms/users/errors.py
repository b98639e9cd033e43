"""Errors of operations on users."""

from oms.core.errors import Conflict, Forbidden, Invalid, NotAuthenticated


class EmailTaken(Conflict):
    """An account with this e-mail address already exists."""

    code = "email_taken"


class BadCredentials(NotAuthenticated):
    """Incorrect e-mail address or password, or the account is inactive."""

    code = "bad_credentials"


class TokenInvalid(NotAuthenticated):
    """The token is invalid, expired, used or revoked."""

    code = "token_invalid"


class SuperuserNeeded(Forbidden):
    """Only superusers may change superusers, and make others superusers."""

    code = "superuser_needed"


class OwnRights(Forbidden):
    """You can't deactivate your own account or change its staff or superuser status."""

    code = "own_rights"


class RoleRenamed(Conflict):
    """The roles that come with the shop keep their names."""

    code = "role_renamed"


class PasswordLinkInvalid(Invalid):
    """The link is invalid, was used, or has expired. Ask for a new one."""

    code = "password_link_invalid"


class GroupNameTaken(Conflict):
    """A group with this name already exists."""

    code = "group_name_taken"
