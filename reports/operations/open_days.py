"""Adding up the sales of days that are not over, so that their reports stay cheap."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from oms.core.clock import Period, business_date, business_days
from oms.db.transactions import transaction
from reports.definitions import period_parameters, sales_since
from reports.models import OpenDay
from reports.queries import set_report_limits

# Sales and cancellations are added up when every transaction that may have made them has ended.
SETTLING = timedelta(minutes=2)
# Open days are kept for so long after their end; their final reports exist by then.
_KEPT = timedelta(days=2)

_ADD_HOURS = f"""
    WITH {sales_since("%(start)s")}
    INSERT INTO reports_opendayhour (day_id, hour, orders, gross_sales, cancelled_sales)
    SELECT %(day)s, date_trunc('hour', at, %(zone)s) AS hour, sum(orders), sum(value),
           sum(cancelled)
    FROM sales GROUP BY hour
    ON CONFLICT (day_id, hour) DO UPDATE
    SET orders = reports_opendayhour.orders + excluded.orders,
        gross_sales = reports_opendayhour.gross_sales + excluded.gross_sales,
        cancelled_sales = reports_opendayhour.cancelled_sales + excluded.cancelled_sales
"""  # noqa: S608
_ADD_PRODUCTS = f"""
    WITH {sales_since("%(start)s")}
    INSERT INTO reports_opendaysales (day_id, product_id, units, revenue)
    SELECT %(day)s, product_id, sum(units), sum(value) FROM lines GROUP BY product_id
    ON CONFLICT (day_id, product_id) DO UPDATE
    SET units = reports_opendaysales.units + excluded.units,
        revenue = reports_opendaysales.revenue + excluded.revenue
"""  # noqa: S608


@transaction
def add_up_today(*, now: datetime) -> None:
    """Add the sales since the last run to those of the business day; delete those of old days."""
    until = now - SETTLING
    day, zone = business_date(until), str(settings.BUSINESS_TIME_ZONE)
    period = business_days(day, day)
    OpenDay.objects.get_or_create(
        date=day,
        timezone=zone,
        currency=settings.SHOP_CURRENCY,
        defaults={"until": period.start},
    )
    open_day = OpenDay.objects.select_for_update(no_key=True).get(
        date=day, timezone=zone, currency=settings.SHOP_CURRENCY
    )
    if until <= open_day.until:
        return
    since = Period(start=open_day.until, end=until)
    parameters = {
        **period_parameters(since, currency=open_day.currency),
        "day": open_day.pk,
        "zone": zone,
    }
    with connection.cursor() as cursor:
        set_report_limits(cursor)
        cursor.execute(_ADD_HOURS, parameters)
        cursor.execute(_ADD_PRODUCTS, parameters)
    open_day.until = until
    open_day.save(update_fields=["until"])
    OpenDay.objects.filter(date__lt=business_date(now - _KEPT)).delete()
