"""Looks every pinned package up in the advisories of PyPI. Exit codes:

0: every package was looked up, and none has a known vulnerability.
1: a package has one, or was skipped by the audit while others were not.
75: no source of advisories answers, so nothing was audited; this is no pass.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PASSED, FAILED, NOT_AUDITED = 0, 1, 75


def verdict(report: dict[str, Any] | None) -> tuple[int, list[str]]:
    """The exit code for pip-audit's JSON report, or None if there is none, and what to print.

    pip-audit itself says "No known vulnerabilities found" of packages that it has skipped.
    """
    packages = report["dependencies"] if report else []
    skipped = [each for each in packages if "skip_reason" in each]
    if len(skipped) == len(packages):
        return NOT_AUDITED, ["No source of advisories answers: no package was audited."]
    lines = [f"{each['name']}: skipped. {each['skip_reason']}" for each in skipped]
    for each in packages:
        for found in each.get("vulns", []):
            fixed = ", ".join(found["fix_versions"]) or "no version"
            lines.append(f"{each['name']} {each['version']}: {found['id']}, fixed in {fixed}")
    if lines:
        return FAILED, lines
    return PASSED, [f"{len(packages)} packages have no known vulnerability."]


def main() -> int:
    files = [f"--requirement={path}" for path in sorted(ROOT.glob("requirements*.txt"))]
    audit = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", *files),
            *("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        report = json.loads(audit.stdout)
    except ValueError:
        report = None
        print(audit.stderr.strip().splitlines()[-1:], file=sys.stderr)  # noqa: T201
    code, lines = verdict(report)
    print("\n".join(lines))  # noqa: T201
    return code


if __name__ == "__main__":
    raise SystemExit(main())
