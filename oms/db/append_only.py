"""Append-only tables, guarded by a trigger.

The trigger also applies to the application's own database role: rows can be neither changed nor
deleted.
"""

from __future__ import annotations

from django.db import migrations

_FUNCTION = """
CREATE FUNCTION oms_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""


def create_refusal() -> migrations.RunSQL:
    """The migration that creates the function behind every such trigger."""
    return migrations.RunSQL(_FUNCTION, "DROP FUNCTION oms_refuse_change()")


def append_only(table: str) -> migrations.RunSQL:
    """The migration that forbids UPDATE, DELETE and TRUNCATE on `table`."""
    return migrations.RunSQL(
        f"""
        CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION oms_refuse_change();
        CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION oms_refuse_change();
        """,
        f"""
        DROP TRIGGER {table}_append_only ON {table};
        DROP TRIGGER {table}_no_truncate ON {table};
        """,
    )
