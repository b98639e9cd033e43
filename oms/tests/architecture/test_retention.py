"""How long data are kept is set in numbers that dates can follow."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from oms.settings import retention

RETENTIONS = (
    "EVENT_LOG_RETENTION_MONTHS",
    "PROVIDER_MESSAGE_RETENTION_DAYS",
    "NOTIFICATION_RETENTION_DAYS",
    "STOCK_ALERT_RETENTION_DAYS",
)


@pytest.mark.parametrize("name", RETENTIONS)
def test_a_retention_is_within_the_range_of_dates(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kept in ("0", "10000"):
        monkeypatch.setenv(name, kept)
        assert runpy.run_path(retention.__file__)[name] == int(kept)
    for refused in ("-1", "10001"):
        monkeypatch.setenv(name, refused)
        with pytest.raises(ImproperlyConfigured, match="Retentions are"):
            runpy.run_path(retention.__file__)


def test_an_empty_folder_for_the_archive_is_the_default_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EVENT_LOG_ARCHIVE_DIR", "")

    folder = runpy.run_path(retention.__file__)["EVENT_LOG_ARCHIVE_DIR"]

    assert isinstance(folder, Path)
    assert folder.name == "archive"
