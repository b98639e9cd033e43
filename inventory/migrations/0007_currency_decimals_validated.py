"""Checks of the rows from before, in a transaction of its own: it locks nobody out."""

from __future__ import annotations

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("inventory", "0006_currency_decimals")]

    operations = [
        ValidateConstraint("product", "product_price_in_range"),
        ValidateConstraint("product", "product_price_fits_currency"),
    ]
