"""The import rules of pyproject.toml hold, and can fail."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from oms.testing.environment import ROOT

APPS = ("inventory", "notifications", "orders", "payments", "reports")


def _lint_imports(configuration: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"),
            *("--no-logo", "--no-cache", "--config", str(configuration)),
        ],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_every_import_rule_is_kept() -> None:
    done = _lint_imports(ROOT / "pyproject.toml", ROOT)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rule_of_the_apps_refuses_an_upward_import(tmp_path: Path) -> None:
    for name in ("lower", "upper"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / "lower" / "models.py").write_text("import upper\n")
    (tmp_path / "rules.toml").write_text(
        """
        [tool.importlinter]
        root_packages = ["lower", "upper"]
        [[tool.importlinter.contracts]]
        name = "Downwards only"
        type = "layers"
        layers = ["upper", "lower"]
        """
    )

    done = _lint_imports(tmp_path / "rules.toml", tmp_path)

    assert done.returncode == 1
    assert "lower.models -> upper" in done.stdout


def test_every_app_is_named_by_the_rules() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    found = {path.parent.name for path in ROOT.glob("*/migrations")}

    assert found == set(APPS)
    assert set(settings["root_packages"]) == {"oms", *APPS}
