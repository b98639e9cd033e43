"""The back office of users, sessions and groups."""

from oms.users.admin.groups import GroupAdmin
from oms.users.admin.sessions import SessionAdmin
from oms.users.admin.users import UserAdmin

__all__ = ["GroupAdmin", "SessionAdmin", "UserAdmin"]
