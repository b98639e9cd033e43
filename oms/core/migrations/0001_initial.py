from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations

from oms.core.ledgers import create_refusal


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [TrigramExtension(), create_refusal()]
