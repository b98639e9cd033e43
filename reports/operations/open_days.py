"""Adding up the sales of days that are not over, so that their reports stay cheap."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from oms.core.clock import business_date, business_days
from oms.db.transactions import transaction
from reports.models import OpenDay
from reports.queries import set_report_limits

# A sale is added up when every transaction that may have confirmed its order has ended.
SETTLING = timedelta(minutes=2)
# Open days are kept for so long after their end; their final reports exist by then.
_KEPT = timedelta(days=2)

_SALES = """
    FROM orders_order
    WHERE confirmed_at >= %(since)s AND confirmed_at < %(until)s AND currency = %(currency)s
"""
_ADD_HOURS = f"""
    INSERT INTO reports_opendayhour (day_id, hour, orders, gross_sales)
    SELECT %(day)s, date_trunc('hour', confirmed_at, %(zone)s) AS hour, count(*), sum(total)
    {_SALES} GROUP BY hour
    ON CONFLICT (day_id, hour) DO UPDATE
    SET orders = reports_opendayhour.orders + excluded.orders,
        gross_sales = reports_opendayhour.gross_sales + excluded.gross_sales
"""  # noqa: S608
_ADD_PRODUCTS = f"""
    INSERT INTO reports_opendaysales (day_id, product_id, units, revenue)
    SELECT %(day)s, product_id, sum(quantity), sum(line_total)
    FROM (SELECT id {_SALES}) AS confirmed JOIN orders_orderitem ON order_id = confirmed.id
    GROUP BY product_id
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
    parameters = {
        "day": open_day.pk,
        "since": open_day.until,
        "until": until,
        "zone": zone,
        "currency": open_day.currency,
    }
    with connection.cursor() as cursor:
        set_report_limits(cursor)
        cursor.execute(_ADD_HOURS, parameters)
        cursor.execute(_ADD_PRODUCTS, parameters)
    open_day.until = until
    open_day.save(update_fields=["until"])
    OpenDay.objects.filter(date__lt=business_date(now - _KEPT)).delete()
