from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations

from oms.db.append_only import create_refusal


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [TrigramExtension(), create_refusal()]
