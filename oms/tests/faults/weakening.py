"""Taking protections of a running shop away, and giving them back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oms.tests.faults.experiments import Control, Outcome, Size
from oms.tests.faults.shop import Shop

# The environment of a shop that follows `without`.
ENVIRONMENT = (
    ("DJANGO_SETTINGS_MODULE", "weakened"),
    ("PYTHONPATH", str(Path(__file__).parent / "weakened")),
)
# Every process looks ten times a second.
_NOTICED_SECONDS = 1.0


@contextmanager
def without(shop: Shop, protection: str) -> Iterator[None]:
    """Take away a protection of the code, by its name in weakened/weakened.py."""
    file = shop.folder / "weakened"
    file.write_text(protection)
    time.sleep(_NOTICED_SECONDS)
    try:
        yield
    finally:
        file.write_text("")
        time.sleep(_NOTICED_SECONDS)


@contextmanager
def trigger(shop: Shop, *, table: str, event: str, body: str, name: str = "row") -> Iterator[None]:
    """A trigger BEFORE each INSERT or UPDATE (`event`) of a row; `body` is PL/pgSQL about NEW."""
    function = f"fault_{name}"
    with shop.connect() as connection:
        connection.execute(
            f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN {body} RETURN NEW; END $$"
        )
        connection.execute(
            f"CREATE TRIGGER {function} BEFORE {event} ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION {function}()"
        )
    try:
        yield
    finally:
        with shop.connect() as connection:
            connection.execute(f"DROP TRIGGER {function} ON {table}")


@contextmanager
def forgotten_keys(shop: Shop) -> Iterator[None]:
    """What is stored for an idempotency key is never found again."""
    body = "NEW.scope := gen_random_uuid();"
    with trigger(shop, table="http_idempotencyrecord", event="INSERT", body=body, name="key"):
        yield


def each_of(*controls: Control) -> Control:
    """One control of several protections: it finds violations only if each of them does."""

    def control(shop: Shop, size: Size) -> Outcome:
        found = [each(shop, size) for each in controls]
        if not all(each.found for each in found):
            return Outcome(notes=["one of the controls finds nothing"])
        return Outcome(violations=[text for each in found for text in each.found])

    return control
