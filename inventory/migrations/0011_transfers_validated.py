"""The check of the movements from before, in a transaction of its own: it locks nobody out."""

from __future__ import annotations

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("inventory", "0010_transfers")]

    operations = [ValidateConstraint("stockmovement", "movement_moves_as_its_kind")]
