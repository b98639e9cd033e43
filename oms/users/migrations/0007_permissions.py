"""The permissions of oms.core.permissions, its roles as groups, and what staff had mapped to them.

As literals, because the code will change and this must not. Django's permissions for each model
stay in the table, without effect from now on: processes of the release before still ask for them.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

PERMISSIONS = [
    ("orders.view", "View orders"),
    ("orders.place_for_customer", "Place orders for customers"),
    ("orders.edit", "Edit and confirm orders"),
    ("orders.cancel", "Cancel and delete orders"),
    ("orders.hold", "Put orders on hold and release them"),
    ("orders.ship", "Process, ship and deliver orders"),
    ("returns.handle", "Handle returns"),
    ("payments.view", "View payments and refunds"),
    ("payments.refund", "Refund payments"),
    ("payments.retry", "Retry, capture and void payments"),
    ("stock.view", "View stock"),
    ("stock.adjust", "Adjust stock and manage locations"),
    ("stock.receive", "Receive stock"),
    ("stock.transfer", "Transfer stock"),
    ("products.edit", "Edit products"),
    ("products.price", "Set prices"),
    ("customers.view", "View accounts and e-mails, and resend e-mails"),
    ("customers.edit", "Edit customer accounts"),
    ("reports.view", "View reports"),
    ("audit.view", "View the event log, and retry failed events"),
    ("webhooks.manage", "Manage webhooks"),
    ("staff.manage", "Manage staff, roles and permissions"),
]

_ORDERS = ["orders.view", "orders.edit", "orders.hold", "orders.ship", "orders.cancel"]
_RETURNS = ["returns.handle"]
_STOCK = ["stock.view", "stock.adjust", "stock.receive", "stock.transfer"]
ROLES = {
    "clerk": [
        *_ORDERS,
        "orders.place_for_customer",
        *_RETURNS,
        "customers.view",
        "payments.view",
        "stock.view",
    ],
    "stock_keeper": [*_STOCK, "products.edit", "orders.view", *_RETURNS],
    "accountant": [
        *("payments.view", "payments.refund", "payments.retry"),
        *("orders.view", "customers.view", "reports.view", "audit.view"),
    ],
    "manager": [code for code, _ in PERMISSIONS if code != "staff.manage"],
}

# What each of Django's permissions allowed in the back office. Cancelling an order that is paid
# refunds it, which asks for the permission to refund from now on.
GRANTED_BEFORE = {
    "orders.view_order": ["orders.view"],
    "orders.change_order": _ORDERS,
    "orders.view_shipment": ["orders.view"],
    "payments.view_payment": ["payments.view"],
    "payments.change_payment": ["payments.view", "payments.retry"],
    "payments.view_refund": ["payments.view"],
    "payments.add_refund": ["payments.view", "payments.refund"],
    "payments.change_refund": ["payments.view", "payments.retry"],
    "payments.view_providermessage": ["payments.view"],
    "inventory.view_product": ["stock.view"],
    "inventory.add_product": ["stock.view", "products.edit", "products.price", "stock.receive"],
    "inventory.change_product": ["stock.view", "products.edit", "products.price", "stock.adjust"],
    "inventory.view_stockmovement": ["stock.view"],
    "inventory.view_location": ["stock.view"],
    "inventory.add_location": ["stock.view", "stock.adjust"],
    "inventory.change_location": ["stock.view", "stock.adjust"],
    "reports.view_dailyreport": ["reports.view"],
    "notifications.view_notification": ["customers.view"],
    "notifications.change_notification": ["customers.view"],
    "users.view_user": ["customers.view"],
    "users.add_user": ["customers.view", "customers.edit"],
    "users.change_user": ["customers.view", "customers.edit"],
    "users.view_session": ["customers.view"],
    "users.change_session": ["customers.view", "customers.edit"],
    "events.view_event": ["audit.view"],
    "events.view_deadletter": ["audit.view"],
    "events.change_deadletter": ["audit.view"],
    "events.view_consumeroffset": ["audit.view"],
}


def add_permissions(apps: Any, schema_editor: Any) -> None:
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="users", model="user"
    )
    permission_model = apps.get_model("auth", "Permission")
    permissions = {}
    for code, name in PERMISSIONS:
        permissions[code], _ = permission_model.objects.get_or_create(
            content_type=content_type, codename=code, defaults={"name": name}
        )
    _add_roles(apps.get_model("auth", "Group"), permissions)
    # Rows of the tables between: what is granted, to a user or a group.
    user_grants = apps.get_model("users", "User").user_permissions.through
    group_grants = apps.get_model("auth", "Group").permissions.through
    for grants, owner in ((user_grants, "user_id"), (group_grants, "group_id")):
        for old, new in GRANTED_BEFORE.items():
            app, codename = old.split(".")
            owners = grants.objects.filter(
                permission__content_type__app_label=app, permission__codename=codename
            ).values_list(owner, flat=True)
            grants.objects.bulk_create(
                [
                    grants(**{owner: id, "permission_id": permissions[code].pk})
                    for id in owners
                    for code in new
                ],
                ignore_conflicts=True,
            )


def _add_roles(group_model: Any, permissions: dict[str, Any]) -> None:
    for name, codes in ROLES.items():
        # The shop's own group keeps its members and what they may, under another name.
        group_model.objects.filter(name=name).update(name=f"{name} (own)")
        role = group_model.objects.create(name=name)
        role.permissions.set([permissions[code] for code in codes])


class Migration(migrations.Migration):
    dependencies = [
        ("users", "0006_session_version"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        # Which gives the permissions of dead letters their present names.
        ("events", "0005_dead_letters"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="user",
            options={
                "default_permissions": (),
                "permissions": PERMISSIONS,
                "verbose_name": "user",
                "verbose_name_plural": "users",
            },
        ),
        migrations.RunPython(add_permissions, migrations.RunPython.noop, elidable=False),
    ]
