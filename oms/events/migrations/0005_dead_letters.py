from django.db import migrations

# Django renames the content type by itself, but not its permissions: whoever was given them would
# lose them to new ones of the model's new name.
_RENAME_PERMISSIONS = """
    UPDATE auth_permission AS permission
    SET codename = replace(permission.codename, '_parkedevent', '_deadletter'),
        name = replace(permission.name, 'parked event', 'failed event')
    FROM django_content_type AS type
    WHERE type.id = permission.content_type_id AND type.app_label = 'events'
        AND type.model = 'deadletter' AND permission.codename LIKE '%\\_parkedevent'
"""


class Migration(migrations.Migration):
    """The table keeps its name: only the model is renamed."""

    dependencies = [
        ("events", "0004_find_by_type"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [
        migrations.AlterModelTable("ParkedEvent", "events_parkedevent"),
        migrations.RenameModel("ParkedEvent", "DeadLetter"),
        migrations.RunSQL(_RENAME_PERMISSIONS, migrations.RunSQL.noop),
        migrations.AlterModelOptions(
            "DeadLetter",
            {"verbose_name": "failed event", "verbose_name_plural": "failed events"},
        ),
        migrations.AlterModelOptions(
            "ConsumerOffset",
            {"verbose_name": "event consumer", "verbose_name_plural": "event consumers"},
        ),
    ]
