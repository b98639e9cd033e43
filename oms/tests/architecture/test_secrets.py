"""The secrets that a development copy makes for itself."""

from __future__ import annotations

import secrets
import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from oms.settings import environment


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a secret that nobody has given, in a development copy of its own."""
    monkeypatch.setattr(environment, "DEBUG", True)
    monkeypatch.setattr(environment, "VAR_DIR", tmp_path)
    monkeypatch.delenv("A_SECRET", raising=False)
    return tmp_path / "secrets" / "a_secret"


def test_a_missing_secret_is_made_once_and_for_the_owner_alone(kept: Path) -> None:
    first, second = environment.secret("A_SECRET"), environment.secret("A_SECRET")

    assert first == second == kept.read_text()
    assert len(first) >= 48
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert list(kept.parent.iterdir()) == [kept]


def test_a_secret_is_never_seen_before_it_is_whole(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there_too_early = []
    make = secrets.token_urlsafe

    def look_first(size: int) -> str:
        there_too_early.append(kept.exists())
        return make(size)

    monkeypatch.setattr(secrets, "token_urlsafe", look_first)
    environment.secret("A_SECRET")

    assert there_too_early == [False]


def test_of_two_processes_that_make_one_the_quicker_wins(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_overtaken(size: int) -> str:
        kept.parent.mkdir(parents=True)
        kept.write_text("of the other")
        return "ours"

    monkeypatch.setattr(secrets, "token_urlsafe", be_overtaken)

    assert environment.secret("A_SECRET") == "of the other"


def test_without_debug_a_missing_secret_stops_the_start(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "DEBUG", False)

    with pytest.raises(ImproperlyConfigured, match="A_SECRET must be set"):
        environment.secret("A_SECRET")
    assert not kept.exists()
