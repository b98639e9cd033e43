from django.db import migrations


class Migration(migrations.Migration):
    """What is purged every few minutes is vacuumed every half hour, not five times a day.

    See docs/decisions/0011-growing-tables.md for the figures behind these.
    """

    dependencies = [("http", "0002_idempotency_in_bytes")]

    operations = [
        migrations.RunSQL(
            sql="""
                ALTER TABLE http_idempotencyrecord SET (autovacuum_vacuum_scale_factor = 0.02);
            """,
            reverse_sql="""
                ALTER TABLE http_idempotencyrecord RESET (autovacuum_vacuum_scale_factor);
            """,
        )
    ]
