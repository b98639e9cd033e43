from django.db import migrations, models


class Migration(migrations.Migration):
    """Digests as bytes: a third of the space, and one index less to write with every call.

    The keys of the last day stay good: their scopes are the first halves of what they were.
    """

    dependencies = [("http", "0001_idempotency")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    sql="""
                        DROP INDEX http_idempotencyrecord_scope_ae05002b_like;
                        ALTER TABLE http_idempotencyrecord
                            ALTER COLUMN scope TYPE uuid USING left(scope, 32)::uuid,
                            ALTER COLUMN fingerprint TYPE bytea USING decode(fingerprint, 'hex');
                    """,
                    reverse_sql="""
                        DELETE FROM http_idempotencyrecord;
                        ALTER TABLE http_idempotencyrecord
                            ALTER COLUMN scope TYPE varchar(64),
                            ALTER COLUMN fingerprint TYPE varchar(64)
                                USING encode(fingerprint, 'hex');
                        CREATE INDEX http_idempotencyrecord_scope_ae05002b_like
                            ON http_idempotencyrecord (scope varchar_pattern_ops);
                    """,
                )
            ],
            state_operations=[
                migrations.AlterField(
                    model_name="idempotencyrecord",
                    name="scope",
                    field=models.UUIDField(primary_key=True, serialize=False),
                ),
                migrations.AlterField(
                    model_name="idempotencyrecord",
                    name="fingerprint",
                    field=models.BinaryField(),
                ),
            ],
        )
    ]
