"""What `manage.py reconcile` says of a shop that was loaded."""

from __future__ import annotations

import json

from benchmarks.machine import BenchError, Shop

# What lags behind by nature while nobody reads the log.
_LAGGING = frozenset({"consumers_keep_up"})


def broken_promises(shop: Shop, *, is_background_on: bool) -> list[str]:
    """The checks that do not hold, in sentences; empty if all is as it must be."""
    done = shop.manage(
        "reconcile", "--format", "json", *([] if is_background_on else ["--offline"])
    )
    try:
        checks = json.loads(done.stdout)["checks"]
    except (ValueError, KeyError) as error:
        raise BenchError(f"reconcile did not work:\n{done.stderr[-3000:]}") from error
    return [
        f"{check['name']}: {check['violations']} violations, such as {check['shown'][:2]}"
        for check in checks
        if check["violations"] and (is_background_on or check["name"] not in _LAGGING)
    ]
