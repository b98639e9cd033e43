"""The index is made on every partition at once. Nobody appends to the log meanwhile: about five
seconds for a million events."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0003_partition_by_month")]

    operations = [
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["type", "id"], name="event_of_type"),
        ),
    ]
