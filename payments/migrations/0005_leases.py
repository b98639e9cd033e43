from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """What waits and what is leased have an index each: see oms/queue/leases.py."""

    atomic = False

    dependencies = [("payments", "0004_field_names")]

    operations = [
        AddIndexConcurrently(
            model_name="payment",
            index=models.Index(
                condition=models.Q(
                    ("lease_until__isnull", True), ("next_attempt_at__isnull", False)
                ),
                fields=["next_attempt_at"],
                name="payment_waiting",
            ),
        ),
        AddIndexConcurrently(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("lease_until__isnull", False)),
                fields=["lease_until"],
                name="payment_leased",
            ),
        ),
        RemoveIndexConcurrently(model_name="payment", name="payment_due"),
        AddIndexConcurrently(
            model_name="refund",
            index=models.Index(
                condition=models.Q(
                    ("lease_until__isnull", True), ("next_attempt_at__isnull", False)
                ),
                fields=["next_attempt_at"],
                name="refund_waiting",
            ),
        ),
        AddIndexConcurrently(
            model_name="refund",
            index=models.Index(
                condition=models.Q(("lease_until__isnull", False)),
                fields=["lease_until"],
                name="refund_leased",
            ),
        ),
        RemoveIndexConcurrently(model_name="refund", name="refund_due"),
    ]
