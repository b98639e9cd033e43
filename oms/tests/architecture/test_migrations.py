"""New migrations can be applied to an open shop, while the code of before still runs.

squawk, a linter of PostgreSQL migrations, reads the SQL of every migration that is newer than the
baseline: no lock that lasts as long as a table is large, and nothing that processes of the version
before would fail at.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from oms.testing.environment import ROOT

BASELINE = {
    "core": "0001_initial",
    "events": "0005_dead_letters",
    "http": "0003_storage",
    "inventory": "0005_field_labels",
    "notifications": "0004_rare_kinds",
    "orders": "0006_fewer_indexes",
    "payments": "0004_field_names",
    "reports": "0002_daily_sales",
    "users": "0004_field_labels",
}
"""The newest migration of each app that no check is made of: all were made with the shop closed."""

EXCLUDED = (
    # Matters of taste, or decided by Django's fields.
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-robust-stmts",
    "prefer-text-field",
    "prefer-timestamp-tz",
    # `manage.py migrate` sets both for all migrations.
    "require-lock-timeout",
    "require-statement-timeout",
    "require-timeout-settings",
)


def findings(sql: str, *, in_transaction: bool) -> list[str]:
    """What squawk reports of the statements, such as "require-concurrent-index-creation: …"."""
    linted = subprocess.run(
        [
            str(Path(sys.executable).parent / "squawk"),
            *("--pg-version", "15", "--reporter", "json", "--exclude", ",".join(EXCLUDED)),
            *(["--assume-in-transaction"] if in_transaction else []),
        ],
        input=sql,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    reports = json.loads(linted.stdout)
    assert (linted.returncode == 0) == (not reports), linted.stderr
    return [f"{report['rule_name']}: {report['message']}" for report in reports]


# Not in a transaction, in which no index is created concurrently.
@pytest.mark.django_db(transaction=True)
def test_migrations_are_online_and_compatible_with_the_version_before() -> None:
    loader = MigrationLoader(connection, replace_migrations=False)
    roots = {"inventory", "notifications", "oms", "orders", "payments", "reports"}
    ours = {c.label for c in apps.get_app_configs() if c.name.partition(".")[0] in roots}
    new: dict[str, Any] = {
        f"{app}.{name}": migration
        for (app, name), migration in loader.disk_migrations.items()
        if app in ours and name > BASELINE.get(app, "")
    }
    assert "users.0006_session_version" in new

    found = {
        name: findings(
            "\n".join(loader.collect_sql([(migration, False)])),
            in_transaction=migration.atomic,
        )
        for name, migration in new.items()
    }

    assert {name: reports for name, reports in found.items() if reports} == {}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("migration", "columns"),
    [
        (("orders", "0007_currency_decimals"), {"orders_order": ["total"]}),
        (
            ("orders", "0007_currency_decimals"),
            {"orders_orderitem": ["unit_price", "line_total"]},
        ),
        (
            ("payments", "0006_currency_decimals"),
            {"payments_payment": ["amount", "captured_amount", "refunded_amount"]},
        ),
        (("payments", "0006_currency_decimals"), {"payments_refund": ["amount"]}),
        (("inventory", "0006_currency_decimals"), {"inventory_product": ["price"]}),
        (("reports", "0004_currency_decimals"), {"reports_dailysales": ["revenue"]}),
    ],
)
def test_columns_of_amounts_are_widened_without_rewriting_their_tables(
    migration: tuple[str, str], columns: dict[str, list[str]]
) -> None:
    [(table, names)] = columns.items()
    # As the release before left them; today's 0001 makes the new type at once.
    old = ", ".join(f"ALTER {name} TYPE numeric(18, 2)" for name in names)
    with connection.cursor() as cursor:
        if migration[0] == "payments":
            for name in ("payment_captured_within_amount", "payment_refunded_within_captured"):
                cursor.execute(f"ALTER TABLE payments_payment ADD CONSTRAINT {name} CHECK (true)")
        cursor.execute(f"ALTER TABLE {table} {old}")
        file = _file_of(table)
        found = MigrationLoader(connection).disk_migrations[migration]
        for operation in found.operations:
            for part in getattr(operation, "database_operations", [operation]):
                for sql in getattr(part, "sql", []):
                    cursor.execute(sql)
        cursor.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_name = %s AND data_type = 'numeric' AND numeric_scale IS NULL",
            [table],
        )
        assert {name for (name,) in cursor.fetchall()} >= set(names)

    assert _file_of(table) == file


def _file_of(table: str) -> int:
    """The number of the file that has the table's rows; a rewritten table has another."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_filenode(%s)", [table])
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ('CREATE INDEX "i" ON "orders_order" ("note");', "require-concurrent-index-creation"),
        ('ALTER TABLE "orders_order" ADD COLUMN "x" integer NOT NULL;', "adding-required-field"),
        ('ALTER TABLE "orders_order" DROP COLUMN "note";', "ban-drop-column"),
        ('ALTER TABLE "orders_order" RENAME COLUMN "note" TO "notes";', "renaming-column"),
        ('ALTER TABLE "orders_order" ALTER "note" TYPE bigint USING 0;', "changing-column-type"),
        (
            'ALTER TABLE "orders_order" ADD CONSTRAINT "c" CHECK ("total" >= 0);',
            "constraint-missing-not-valid",
        ),
    ],
)
def test_a_migration_that_would_stop_the_shop_is_found(sql: str, rule: str) -> None:
    assert any(report.startswith(rule) for report in findings(sql, in_transaction=True))


def test_every_app_with_migrations_has_a_baseline_that_exists() -> None:
    for app, name in BASELINE.items():
        folder = Path(apps.get_app_config(app).path) / "migrations"
        assert (folder / f"{name}.py").exists()
