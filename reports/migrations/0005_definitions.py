import oms.core.money
from decimal import Decimal

from django.db import migrations, models


class Migration(migrations.Migration):
    """Cancelled sales; final reports know by which definitions they were made.

    See docs/decisions/0031-figures.md.
    """

    dependencies = [
        ("reports", "0004_currency_decimals"),
    ]

    operations = [
        migrations.AddField(
            model_name="dailyreport",
            name="definitions",
            field=models.PositiveSmallIntegerField(db_default=1, default=2),
        ),
        migrations.AddField(
            model_name="opendayhour",
            name="cancelled_sales",
            field=oms.core.money.MoneyField(
                db_default=Decimal("0"), default=Decimal("0"), max_digits=20
            ),
        ),
        # Today is added up anew, by the new definitions.
        migrations.RunSQL(
            [
                "DELETE FROM reports_opendaysales",
                "DELETE FROM reports_opendayhour",
                "DELETE FROM reports_openday",
            ],
            migrations.RunSQL.noop,
        ),
    ]
