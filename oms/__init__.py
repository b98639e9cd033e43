"""The order management system."""

import django_stubs_ext

# Django's own classes are not generic at run time; with this `models.CharField[str, str]` can be
# written. It comes before anything that defines a model or a field.
django_stubs_ext.monkeypatch()

from oms.celery import app as celery_app  # noqa: E402

__all__ = ["celery_app"]
