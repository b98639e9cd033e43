"""What a process must be given without DEBUG, and what a development copy generates itself."""

from __future__ import annotations

import os
import secrets
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from oms.settings import environment
from oms.testing.environment import ROOT


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


def _settings_with(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A process without DEBUG that loads the settings, with these variables."""
    return subprocess.run(
        [sys.executable, "-c", "import oms.settings"],
        cwd=ROOT,
        env={**os.environ, "DEBUG": "0", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_without_debug_a_missing_server_stops_the_start(name: str) -> None:
    ended = _settings_with({name: ""})

    assert ended.returncode == 1
    assert f"ImproperlyConfigured: {name} must be set when DEBUG is off." in ended.stderr


def test_with_debug_missing_servers_are_the_local_ones(tmp_path: Path) -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "from oms import settings; print(settings.DATABASE_URL, settings.REDIS_URL)",
        ],
        cwd=ROOT,
        env={"PATH": os.defpath, "DEBUG": "1", "PORT": "9000", "VAR_DIR": str(tmp_path)}
        | {"DATABASE_URL": "", "REDIS_URL": ""},
        capture_output=True,
        text=True,
        check=True,
    )

    database, redis = ended.stdout.split()
    assert database.startswith("postgresql://postgres@/oms?host=/")
    assert redis == "redis://127.0.0.1:9002/0"


@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SIGNING_KEY"])
def test_a_short_signing_key_stops_the_start(name: str) -> None:
    for variable, value in (
        (name, "s" * 31),
        (f"{name}_FALLBACKS", f"{'l' * 32},{'s' * 31}"),
    ):
        ended = _settings_with({variable: value})
        assert ended.returncode == 1
        assert f"ImproperlyConfigured: {name} and its fallbacks must have at least" in ended.stderr
    assert _settings_with({name: "\u00e9" * 16, f"{name}_FALLBACKS": "l" * 32}).returncode == 0


def test_hsts_covers_other_hosts_only_on_request() -> None:
    assert settings.SECURE_HSTS_INCLUDE_SUBDOMAINS is False
    assert settings.SECURE_HSTS_PRELOAD is False
