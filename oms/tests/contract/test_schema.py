"""The running server against its own OpenAPI document, as every role.

The usual run is short. `make schema-test` gives it more examples and time by the environment:
SCHEMA_EXAMPLES for each operation, and at most SCHEMA_SECONDS for each role.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oms.testing.environment import ROOT
from oms.testing.factories import make_customer, make_product, make_staff, tokens_for
from oms.testing.processes import Processes
from oms.tests.contract.schemathesis_hooks import PLAIN, is_beyond_schemas
from oms.users.models import User

EXAMPLES = os.environ.get("SCHEMA_EXAMPLES", "3")
SECONDS = int(os.environ.get("SCHEMA_SECONDS", "10"))
# A case that has begun is ended, and the machine may be busy.
_PATIENCE = 60
CONFIGURATION = Path(__file__).parent / "schemathesis.toml"
LEFT_OUT = [
    operation
    for operation in tomllib.loads(CONFIGURATION.read_text())["operations"]
    if not operation["enabled"]
]
_LIMITS = ("REGISTER", "TOKEN", "TOKEN_ACCOUNT", "PLACE", "USER", "ANONYMOUS")

_ROLES: dict[str, Callable[[], User | None]] = {
    "anonymous": lambda: None,
    "customer": make_customer,
    "staff": make_staff,
    "superuser": lambda: make_staff(is_superuser=True),
}


@pytest.fixture(scope="module")
def server(module_processes: Processes) -> Processes:
    """A web server without rate limits."""
    module_processes.start("web", {f"RATE_LIMIT_{name}": "1000000/minute" for name in _LIMITS})
    return module_processes


@pytest.fixture
def url(server: Processes, transactional_db: None) -> str:
    """The URL of the server, with products to order."""
    for _ in range(3):
        make_product(stock=10_000)
    return server.web_url


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 2 * _PATIENCE)
@pytest.mark.parametrize("role", _ROLES)
def test_every_answer_is_one_that_the_document_describes(
    url: str, role: str, tmp_path: Path
) -> None:
    user = _ROLES[role]()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # Half of the roles ask without the headers that veil what lies behind them.
    if role in ("customer", "staff"):
        environment[PLAIN] = "yes"

    ended = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "schemathesis"), "--config-file"),
            *(str(CONFIGURATION), "run", f"{url}/api/schema"),
            *("--checks", "all", "--workers", "2", "--no-color", "--continue-on-failure"),
            *("--max-examples", EXAMPLES, "--max-time", str(SECONDS), "--request-timeout", "20"),
            *(("--header", f"Authorization: Bearer {tokens_for(user).access}") if user else ()),
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS + _PATIENCE,
    )

    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    # It has sent requests to every operation, except to those that schemathesis.toml leaves out.
    selected = re.search(r"Selected: (\d+)/(\d+)\n", ended.stdout)
    assert selected is not None
    assert int(selected[2]) - int(selected[1]) == len(LEFT_OUT)
    generated = re.search(r"(\d+) generated", ended.stdout)
    assert generated is not None
    assert int(generated[1]) > 0  # three hundred, where nothing else runs


@pytest.mark.parametrize(
    ("errors", "beyond"),
    [
        ([{"code": "not_found"}], True),
        ([{"code": "required", "parameter": "date_to"}], True),
        ([{"code": "not_found"}, {"code": "max_length"}], False),
        ([{"code": "required", "pointer": "/items"}], False),
        ([{"code": "invalid", "pointer": "/price"}], True),
        ([{"code": "invalid", "pointer": "/name"}], False),
        ([], False),
    ],
)
def test_only_refusals_that_no_schema_foresees_are_forgiven(
    errors: list[dict[str, Any]], beyond: bool
) -> None:
    assert is_beyond_schemas({"errors": errors}) is beyond
