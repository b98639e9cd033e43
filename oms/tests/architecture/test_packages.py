"""The audit of packages, and their list in the image."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from oms.testing.environment import ROOT

AUDIT = runpy.run_path(str(ROOT / ".ci" / "audit.py"))
SOUND = {"name": "django", "version": "5.2.19", "vulns": []}
SKIPPED = {"name": "mine", "skip_reason": "Dependency not found on PyPI"}
VULNERABLE = {
    "name": "old",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": []}],
}


@pytest.mark.parametrize(
    ("report", "code", "text"),
    [
        ({"dependencies": [SOUND]}, "PASSED", "1 packages have no known vulnerability."),
        ({"dependencies": [SOUND, VULNERABLE]}, "FAILED", "old 1.0: PYSEC-1, fixed in 1.1"),
        ({"dependencies": [SOUND, SKIPPED]}, "FAILED", "mine: skipped. Dependency not found"),
        # pip-audit itself passes these.
        ({"dependencies": [SKIPPED, SKIPPED]}, "NOT_AUDITED", "no package was audited"),
        ({"dependencies": []}, "NOT_AUDITED", "no package was audited"),
        (None, "NOT_AUDITED", "no package was audited"),
    ],
)
def test_the_audit_passes_only_what_was_looked_up(report: Any, code: str, text: str) -> None:
    found, lines = AUDIT["verdict"](report)

    assert found == AUDIT[code]
    assert any(text in line for line in lines)


def test_ci_goes_on_without_an_audit_but_says_so() -> None:
    script = (ROOT / ".ci" / "run").read_text()

    assert f'{AUDIT["NOT_AUDITED"]}) echo "NOT AUDITED' in script
    assert '*) exit "$audit"' in script


def test_the_image_lists_its_packages(tmp_path: Path) -> None:
    """The command of the Dockerfile, run here, names every package of production."""
    dockerfile = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    [command] = re.findall(r"/opt/sbom/bin/cyclonedx-py .*", dockerfile)
    program, *arguments = shlex.split(command)
    target = tmp_path / "sbom.cdx.json"
    here = {"/sbom.cdx.json": str(target), "/opt/venv/bin/python": sys.executable}

    subprocess.run(
        [
            str(Path(sys.executable).parent / Path(program).name),
            *(here.get(argument, argument) for argument in arguments),
        ],
        check=True,
        capture_output=True,
    )

    listed = json.loads(target.read_text())
    assert listed["bomFormat"] == "CycloneDX"
    versions = {canonicalize_name(each["name"]): each["version"] for each in listed["components"]}
    pins = (ROOT / "requirements.txt").read_text().splitlines()
    for pin in map(Requirement, (line for line in pins if "==" in line)):
        if pin.marker is None or pin.marker.evaluate():
            assert str(pin.specifier) == f"=={versions[canonicalize_name(pin.name)]}"
    assert "COPY --from=sbom /sbom.cdx.json" in dockerfile


def test_the_tool_that_lists_them_is_pinned_with_all_that_it_needs() -> None:
    """What the Dockerfile makes of the requirement files is a valid file of constraints."""
    pins = "".join(path.read_text() for path in sorted(ROOT.glob("requirements*.txt")))
    lines = [re.sub(r"\[[^]]*\]", "", line) for line in pins.splitlines() if "==" in line]

    names = [canonicalize_name(Requirement(line).name) for line in lines]

    assert "cyclonedx-bom" in names
    assert len(names) == len(set(names))
