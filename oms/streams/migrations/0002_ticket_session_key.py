from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("streams", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="ticket",
            name="session_key",
            field=models.CharField(db_default="", max_length=40),
        ),
    ]
