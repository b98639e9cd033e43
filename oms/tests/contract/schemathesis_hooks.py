"""Schemathesis hooks for rules that the document cannot express; loaded by schemathesis.toml."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any
from uuid import UUID

import msgspec
import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

# Set, the headers below are left out: one key on different bodies, and deadlines that have passed,
# are refused before anything else is looked at.
PLAIN = "SCHEMATHESIS_PLAIN"
_OPTIONAL = ("Idempotency-Key", "X-Request-Timeout-Ms")
# No request here takes longer.
_ENOUGH_MILLISECONDS = 20_000

_UNKNOWN_HEADER = "x-schemathesis-unknown-property"

# Codes of faults that depend on more than one value, on the shop's rows or on who asks, so that no
# JSON schema can say them.
BEYOND_SCHEMAS = frozenset(
    {
        "currency_mismatch",
        "duplicate",
        "in_the_future",
        "invalid_cursor",
        "no_change",
        "not_found",
        "not_settable",
        "password_entirely_numeric",
        "password_too_common",
        "password_too_similar",
        "same_location",
        "wrong_sign",
    }
)
# The ends of a report's range: each alone is well formed, and together they may not be valid.
_RANGE = frozenset({"date", "date_from", "date_to"})
_RANGE_CODES = frozenset({"conflict", "out_of_range", "required"})
# The address that a merge patch adds to may be missing, and then the patch has to be whole.
_ADDED_TO = "/billing_address/"
# Amounts of which the currency, and so how many decimals they may have, is another value.
_AMOUNTS = frozenset({"/price", "/amount"})


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """Leave the optional headers out of the document, if `PLAIN` is set."""
    if not os.environ.get(PLAIN):
        return
    optional = {f"#/components/parameters/{name}" for name in _OPTIONAL}
    for operations in raw_schema["paths"].values():
        for operation in operations.values():
            operation["parameters"] = [
                parameter
                for parameter in operation.get("parameters", [])
                if parameter.get("$ref") not in optional
            ]


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether `failure` is an error of the API, not a consequence of the request."""
    if response.status_code == 504 and _has_short_deadline(case):
        return False
    if isinstance(failure, AcceptedNegativeData) and _UNKNOWN_HEADER in (case.headers or {}):
        # Unknown headers are ignored, as RFC 9110, section 5.1 wants it.
        return False
    if not isinstance(failure, RejectedPositiveData):
        return True
    if response.status_code == 405:
        # Schemathesis follows links to /orders/bulk as if "bulk" were an order's id.
        return _is_uuid(case.path_parameters.get("id"))
    if response.status_code != 400:
        return True
    return not (_has_made_up_tags(case) or is_beyond_schemas(msgspec.json.decode(response.content)))


def is_beyond_schemas(problem: dict[str, Any]) -> bool:
    """Whether all faults that the problem document names are such that no schema can say them."""
    errors = problem.get("errors", [])
    return bool(errors) and all(
        error["code"] in BEYOND_SCHEMAS
        or (error.get("parameter") in _RANGE and error["code"] in _RANGE_CODES)
        or (error.get("pointer") in _AMOUNTS and error["code"] == "invalid")
        or (error.get("pointer", "").startswith(_ADDED_TO) and error["code"] == "required")
        for error in errors
    )


def _has_short_deadline(case: Any) -> bool:
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return 1 <= int(case.headers["X-Request-Timeout-Ms"]) < _ENOUGH_MILLISECONDS
    return False


def _has_made_up_tags(case: Any) -> bool:
    """Whether the entity tags are such as the schema forbids.

    Schemathesis draws no headers with quotes in them, and takes 0 for a valid one instead.
    """
    parameters = case.operation.schema.raw_schema["components"]["parameters"]
    tags = parameters["If-Match"]["schema"]["pattern"]
    headers = case.headers or {}
    values = [headers[name] for name in ("If-Match", "If-None-Match") if name in headers]
    return any(not re.fullmatch(tags, value) for value in values)


def _is_uuid(text: Any) -> bool:
    with contextlib.suppress(ValueError):
        UUID(str(text))
        return True
    return False
