"""What logs contain, and must not contain."""

from __future__ import annotations

import logging.config
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from oms.core.logging import structlog_configuration
from oms.testing.factories import make_customer
from oms.users.models import User


@pytest.mark.django_db
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_row_that_the_database_refuses_is_not_in_the_log(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    carla = make_customer(full_name="Carla Winter")
    structured = structlog_configuration(log_format=log_format, level="INFO")["formatters"]
    configurator: Any = logging.config.DictConfigurator({})
    handler = logging.StreamHandler()
    handler.setFormatter(configurator.configure_formatter(structured["structured"]))
    logger = logging.getLogger("tests.rows")
    logger.addHandler(handler)

    try:
        with transaction.atomic():
            User.objects.filter(pk=carla.pk).update(email=None)
    except DatabaseError:
        logger.exception("refused")
    finally:
        logger.removeHandler(handler)

    said = capsys.readouterr().err
    assert "NotNullViolation" in said
    assert "Failing row contains (...)." in said
    for secret in ("Carla Winter", carla.password, str(carla.id)):
        assert secret not in said
