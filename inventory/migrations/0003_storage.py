from django.db import migrations


class Migration(migrations.Migration):
    """Room in each page of stock levels for new versions of its rows, beside the old ones.

    No index holds the balances, so such an update touches none (HOT). See docs/decisions/0011-growing-tables.md for the figures behind these.
    """

    dependencies = [("inventory", "0002_movements_as_their_kinds")]

    operations = [
        migrations.RunSQL(
            sql="""
                ALTER TABLE inventory_stocklevel SET (fillfactor = 50);
                ALTER TABLE inventory_stockmovement SET (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);
            """,
            reverse_sql="""
                ALTER TABLE inventory_stocklevel RESET (fillfactor);
                ALTER TABLE inventory_stockmovement RESET (autovacuum_vacuum_insert_scale_factor, autovacuum_analyze_scale_factor);
            """,
        )
    ]
