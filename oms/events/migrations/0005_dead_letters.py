from django.db import migrations


class Migration(migrations.Migration):
    """The table keeps its name: only the model is renamed."""

    dependencies = [("events", "0004_find_by_type")]
    operations = [
        migrations.AlterModelTable("ParkedEvent", "events_parkedevent"),
        migrations.RenameModel("ParkedEvent", "DeadLetter"),
        migrations.AlterModelOptions(
            "DeadLetter",
            {"verbose_name": "failed event", "verbose_name_plural": "failed events"},
        ),
        migrations.AlterModelOptions(
            "ConsumerOffset",
            {"verbose_name": "event consumer", "verbose_name_plural": "event consumers"},
        ),
    ]
