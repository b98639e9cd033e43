"""`deploy/background` lowers the priority of a process, so that requests come first."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from honcho.environ import parse_procfile

ROOT = Path(__file__).resolve().parents[3]
# The niceness of the process, then that of its session where Linux has such a thing.
SHOW = "nice; cat /proc/self/autogroup 2>/dev/null || true"


def run(command: list[str], *, in_own_session: bool, **environment: str) -> list[str]:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        start_new_session=in_own_session,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(("environment", "niceness"), [({}, 10), ({"BACKGROUND_NICE": "3"}, 3)])
def test_a_command_and_its_session_get_a_lower_priority(
    environment: dict[str, str], niceness: int
) -> None:
    before = os.nice(0)

    shown = run(["deploy/background", "sh", "-c", SHOW], in_own_session=True, **environment)

    assert int(shown[0]) == min(19, before + niceness)
    if len(shown) > 1:
        assert shown[-1] == str(niceness)


def test_another_session_is_not_changed() -> None:
    plain = run(["sh", "-c", SHOW], in_own_session=False)

    shown = run(["deploy/background", "sh", "-c", SHOW], in_own_session=False)

    assert shown[1:] == plain[1:]


def test_all_processes_but_the_web_have_a_lower_priority() -> None:
    processes = parse_procfile((ROOT / "Procfile").read_text()).processes

    lowered = {name for name, command in processes.items() if "deploy/background" in command}

    assert lowered == set(processes) - {"web"}
