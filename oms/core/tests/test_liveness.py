"""Signs of life."""

from __future__ import annotations

import os
from pathlib import Path

from oms.core.liveness import beat


def test_a_sign_of_life_is_a_file_of_the_process(tmp_path: Path) -> None:
    beat(tmp_path / "run")

    assert (tmp_path / "run" / "heartbeats" / str(os.getpid())).exists()


def test_where_none_can_be_given_the_process_goes_on(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way")

    beat(tmp_path / "run")
