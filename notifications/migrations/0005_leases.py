from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """What waits and what is leased have an index each: see oms/queue/leases.py."""

    atomic = False

    dependencies = [("notifications", "0004_rare_kinds")]

    operations = [
        AddIndexConcurrently(
            model_name="notification",
            index=models.Index(
                condition=models.Q(
                    ("lease_until__isnull", True), ("next_attempt_at__isnull", False)
                ),
                fields=["next_attempt_at"],
                name="notification_waiting",
            ),
        ),
        AddIndexConcurrently(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("lease_until__isnull", False)),
                fields=["lease_until"],
                name="notification_leased",
            ),
        ),
        RemoveIndexConcurrently(model_name="notification", name="notification_due"),
    ]
