"""Checks of the rows from before, in a transaction of its own: it locks nobody out."""

from __future__ import annotations

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("orders", "0014_partially_paid_and_held")]

    operations = [
        ValidateConstraint("order", "order_payment_status_known"),
        ValidateConstraint("order", "order_confirmed_has_its_moment"),
    ]
