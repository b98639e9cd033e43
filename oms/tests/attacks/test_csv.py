"""Texts of others in CSV files are no formulas of the spreadsheet that opens them."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.urls import reverse

from oms.testing.factories import api_client, make_product, make_staff
from oms.testing.ordering import paid_order

pytestmark = pytest.mark.django_db

# As in "CSV Injection" of OWASP.
FORMULAS = ("=1+1", "+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", '=1;"@x', "=HYPERLINK(1)")


def _rows(answer: Any) -> list[list[str]]:
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(answer.content.decode(), newline="")))


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_in_a_name_is_text_in_the_report(name: str) -> None:
    paid_order((make_product(name=name), 1))

    answer = api_client(make_staff()).get(reverse("daily-report"), headers={"Accept": "text/csv"})

    cells = {cell for row in _rows(answer) for cell in row}
    assert f"'{name}" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_a_plain_name_stays_as_it_is() -> None:
    paid_order((make_product(name="Mug = cup"), 1))

    answer = api_client(make_staff()).get(reverse("daily-report"), headers={"Accept": "text/csv"})

    assert "Mug = cup" in {cell for row in _rows(answer) for cell in row}
