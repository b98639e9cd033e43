"""What staff could do before there were permissions for deeds, they can do afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from oms.core.permissions import ROLES, Permission
from oms.testing.migrating import empty_database, migrate

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

# Django's permissions, as the release before has created them; two groups, and three accounts.
_BEFORE = """
    INSERT INTO django_content_type (app_label, model)
    SELECT app, model FROM (VALUES
        ('orders', 'order'), ('payments', 'refund'), ('inventory', 'product'), ('users', 'user')
    ) AS named (app, model) ON CONFLICT DO NOTHING;
    INSERT INTO auth_permission (name, content_type_id, codename)
    SELECT verb, id, verb || '_' || model FROM django_content_type
    CROSS JOIN unnest(ARRAY['view', 'add', 'change', 'delete']) AS verb
    WHERE app_label IN ('orders', 'payments', 'inventory', 'users') ON CONFLICT DO NOTHING;
    INSERT INTO auth_group (name) VALUES ('Packers'), ('clerk');
    INSERT INTO users_user (id, email, full_name, phone, password, is_staff, is_active,
                            is_superuser, created_at, updated_at)
    SELECT gen_random_uuid(), name || '@example.com', name, '', '', true, true, false, now(), now()
    FROM unnest(ARRAY['packer', 'accountant', 'idle']) AS name;
    INSERT INTO auth_group_permissions (group_id, permission_id)
    SELECT auth_group.id, auth_permission.id FROM auth_group, auth_permission
    WHERE (auth_group.name, codename) IN (
        ('Packers', 'view_order'), ('Packers', 'change_order'), ('clerk', 'view_product'));
    INSERT INTO users_user_groups (user_id, group_id)
    SELECT users_user.id, auth_group.id FROM users_user, auth_group
    WHERE full_name = 'packer' AND name IN ('Packers', 'clerk');
    INSERT INTO users_user_user_permissions (user_id, permission_id)
    SELECT users_user.id, auth_permission.id FROM users_user, auth_permission
    WHERE full_name = 'accountant' AND codename IN ('view_order', 'add_refund', 'delete_order');
"""
_GROUPS = """
    SELECT auth_group.name, array_agg(codename) FROM auth_group
    JOIN auth_group_permissions ON group_id = auth_group.id
    JOIN auth_permission ON auth_permission.id = permission_id
    WHERE codename LIKE '%.%' GROUP BY auth_group.name
"""
_USERS = """
    SELECT full_name, array_agg(codename) FROM users_user
    JOIN users_user_user_permissions ON user_id = users_user.id
    JOIN auth_permission ON auth_permission.id = permission_id
    WHERE codename LIKE '%.%' GROUP BY full_name
"""
_MEMBERS = """
    SELECT name FROM auth_group JOIN users_user_groups ON group_id = auth_group.id ORDER BY name
"""


@pytest.fixture
def filled_database() -> Iterator[tuple[str, Any]]:
    """A database of the release before, with staff."""
    with empty_database() as (url, database):
        migrate(url, "users", "0006")
        database.execute(_BEFORE)
        yield url, database


def test_what_staff_could_do_is_mapped_to_the_new_permissions(
    filled_database: tuple[str, Any],
) -> None:
    url, database = filled_database

    migrate(url, "users", "0007")

    groups = {name: set(codes) for name, codes in database.execute(_GROUPS)}
    assert groups == {
        "Packers": {"orders.view", "orders.edit", "orders.hold", "orders.ship", "orders.cancel"},
        "clerk (own)": {"stock.view"},
        **{name: set(map(str, permissions)) for name, permissions in ROLES.items()},
    }
    users = {name: set(codes) for name, codes in database.execute(_USERS)}
    assert users == {"accountant": {"orders.view", "payments.view", "payments.refund"}}
    assert [name for (name,) in database.execute(_MEMBERS)] == ["Packers", "clerk (own)"]
    # The release before asks for its own as long as it runs.
    [(kept,)] = database.execute(
        "SELECT count(*) FROM users_user_user_permissions JOIN auth_permission"
        " ON auth_permission.id = permission_id WHERE codename = 'add_refund'"
    )
    assert kept == 1
    # Django, which creates what is missing after each migration, finds nothing missing.
    codes = [code for (code,) in database.execute("SELECT codename FROM auth_permission")]
    assert sorted(code for code in codes if "." in code) == sorted(Permission)
