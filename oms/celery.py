"""The Celery application and its schedule.

Every scheduled task processes rows that are due, so a lost message or an unavailable broker delays
work by at most the interval below. No task may be sent with an ETA or a countdown.
"""

from __future__ import annotations

import os

from celery import Celery
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oms.settings")
# `migrate` has run Django's checks; workers would load every page and view for them once more.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("oms")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["oms"], related_name="subscriptions")
# Before beat handles SIGTERM, which could otherwise interrupt the import of its scheduler.
app.autodiscover_tasks(["oms"], related_name="background")

app.conf.beat_schedule = {
    # An interval is also the longest that lost messages delay something; a task that is still
    # waiting when its successor is sent is dropped.
    "relay events": {"task": "oms.relay_events", "schedule": 1.0, "options": {"expires": 5}},
    "process payments": {"task": "payments.drain", "schedule": 2.0, "options": {"expires": 5}},
    "send mail": {"task": "notifications.drain", "schedule": 2.0, "options": {"expires": 5}},
    "book receipts": {
        "task": "inventory.book_receipts",
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "match refunds": {
        "task": "payments.match_refunds",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "expire orders": {"task": "orders.expire", "schedule": 15.0, "options": {"expires": 15}},
    "add up today": {"task": "reports.add_up_today", "schedule": 60.0, "options": {"expires": 60}},
    "close days": {"task": "reports.close_days", "schedule": 300.0, "options": {"expires": 300}},
    "report lag": {"task": "oms.report_lag", "schedule": 15.0, "options": {"expires": 15}},
    "purge": {"task": "oms.purge", "schedule": crontab(minute="*/5"), "options": {"expires": 240}},
    "maintain the event log": {
        "task": "oms.tend_event_log",
        "schedule": crontab(minute="43"),
        "options": {"expires": 600},
    },
}
