"""Which permissions an account was granted: directly, or by its groups, which are the roles."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from oms.core.permissions import Permission, permissions_of_codes
from oms.db.pipeline import execute

# A subselect for statements that have an `account`.
GRANTED_CODES = """
    ARRAY(
        SELECT permission.codename FROM auth_permission AS permission
        WHERE permission.id IN (
            SELECT permission_id FROM users_user_user_permissions WHERE user_id = account.id
            UNION ALL
            SELECT of_group.permission_id FROM users_user_groups AS member
            JOIN auth_group_permissions AS of_group ON of_group.group_id = member.group_id
            WHERE member.user_id = account.id
        )
    )
"""
_GRANTED = f"SELECT {GRANTED_CODES} FROM users_user AS account WHERE id = %s"  # noqa: S608
_GRANTED_BY_GROUPS = """
    SELECT DISTINCT permission.codename FROM auth_permission AS permission
    JOIN auth_group_permissions AS of_group ON of_group.permission_id = permission.id
    WHERE of_group.group_id = ANY(%s)
"""


def granted_permissions(user_id: UUID) -> frozenset[Permission]:
    """The permissions that the account was granted, active or not, staff or not."""
    rows = execute(_GRANTED, [user_id]).rows()
    return permissions_of_codes(rows[0][0]) if rows else frozenset()


def permissions_of_groups(group_ids: Collection[int]) -> frozenset[Permission]:
    """The permissions that members of the groups have."""
    rows = execute(_GRANTED_BY_GROUPS, [list(group_ids)]).rows() if group_ids else []
    return permissions_of_codes(code for (code,) in rows)
