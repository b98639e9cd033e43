#!/usr/bin/env python
"""Command-line entry point for operators."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oms.settings")
    # Commands such as migrate, seed and reconcile run long statements on purpose; the web and the
    # workers, which start elsewhere, keep the short limits of the settings.
    os.environ.setdefault("DB_STATEMENT_TIMEOUT_MS", "0")
    os.environ.setdefault("DB_IDLE_IN_TRANSACTION_TIMEOUT_MS", "0")
    if sys.argv[1:2] == ["up"]:
        # It starts these servers itself, also without DEBUG.
        os.environ.setdefault("LOCAL_SERVICES", "1")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
