"""Names and prose use the field's terms; coined words must not come back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from oms.testing.environment import ROOT

# Pattern of the word, and what to write instead.
COINED: Mapping[str, str] = {
    r"\blanes?\b|lane_|_lane\b|Lane\b": "fast path",
    r"(?i)(?<![a-z])(un)?(hear(s|d|ing)?)(?![a-z])": "handle, subscribe to, receive",
    r"(?i)(?<![a-z])(told|tells?|telling)(?![a-z])": "notify, log, record, report",
    r"(?i)(?<![a-z])g(i|a)v(e|es|ing|en)[ _]back(?![a-z])": "refund, void, release",
    r"(?i)(?<![a-z])((goes|going|went)[ _]back|go_back)(?![a-z])": "refund, return; roll back",
    r"\bbec(o|a)mes? of\b": "outcome, result",
    r"\bwork(s|ed|ing)? off\b": "process",
    r"Cashier": "PaymentProcessor",
    r"Postman": "MailSender",
    r"Courier": "WebhookDispatcher",
    r"\bPoster\b": "HttpClient",
    r"StockBook|[Ss]tock book|stock_book": "StockAllocator",
    r"OrderFile|order_file": "OrderPresenter",
    r"\.short\(\)|unsellable\(": "check_stock(), check_sellable()",
    r"\bLife\b|\bdice\b|\bDice\b": "SimulatedOrder, randomness",
    r"(?i)(?<![a-z])moments(?![a-z])": "timestamps, times",
    r"WantedStep|\bwanted_|_wanted\b": "RequestedAction, requested",
    r"\basking_\w|\bopening_\w": "an explicit query or pipeline object",
    # The constraint's name stays.
    r"\bparked\b|\bParkedEvent\b|\bparked_(?!event_once)|_parked\b": "failed event, dead letter",
    r"(?i)(?<![a-z])stamps?(?![a-z])": "cache version",
    r"_turns?\b|\bturn_of\b|\bturns of\b": "process lock, slot",
    r"stay_awake|is_awake|\bwaking\b": "hold wake-ups, wake-up",
    # Payloads of stored events keep the name.
    r"(?i)(?<![.\"'`a-z])pieces?(?![=:\"'`a-z])": "units, items, quantity",
    r"(?i)(?<![a-z])parcels?(?![a-z])": "shipment",
    # The problem code `unreadable_news` is public.
    r"(?i)(?<![a-z])(?<!unreadable_)news(?![a-z])": "event, update",
    r"\bdearer?\b": "expensive, cost",
    r"\bgood for\b": "valid for",
    r"(?i)(?<![a-z])amid(?![a-z])": "in, during",
    # The names of Celery tasks stay.
    r"(?<![.\w])drain(s|ed|ing)?\b": "process due work",
    r"\bthe house\b": "the project, the shop",
    r"\bEmbedded(Postgres|Valkey)|EmbeddedServiceError\b": "local_postgres, local_valkey",
    r"(?i)(?<![a-z])whoever(?![a-z])": "users who, callers that, any",
    r"(?i)(?<![a-z])anew(?![a-z])": "again",
    r"(?i)late[ _]money|money[ _]that[ _]comes": "late payment",
    r"(?i)(?<![a-z])nobody(s|'s)(?![a-z])|(?<![a-z])of[ _]nobody(?![a-z])": "anonymous",
    r"(?i)(?<![a-z])everybody(s|'s)(?![a-z])": "all",
    r"(?i)\bin good order\b|\bveiling\b|\btrove\b|\binnocent\b": "valid, optional, collection",
    r"\bunder way\b|\bthe present (time|moment)\b": "in progress, the current time",
    r"\bof whom\b|\bwhat is asked\b|\basked for besides\b": "plain English",
    r"(?i)(?<![a-z])(go|goes)[ _]by(?![a-z])": "depend on, use",
    r"\bwalk(s|ed)? (past|along|through)\b|walked_through": "scan",
    r"(?i)\bstands? (in|for|beside|before|once)\b|_stands_": "is in, represents, precedes",
}

FOLDERS = (
    *("inventory", "notifications", "oms", "orders", "payments", "reports"),
    *("benchmarks", "deploy", "docs", "findings"),
)
SUFFIXES = {".py", ".md", ".html", ".txt", ".toml", ".yml", ".po", ""}


def text_files() -> Iterator[Path]:
    """The files with prose or code; migrations are history, and this file lists the words."""
    for folder in FOLDERS:
        yield from (path for path in sorted((ROOT / folder).rglob("*")) if path.is_file())
    yield from (path for path in sorted(ROOT.iterdir()) if path.is_file())


def occurrences(pattern: str) -> list[str]:
    word = re.compile(pattern)
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path, lines in _contents().items()
        for number, line in enumerate(lines, 1)
        if word.search(line)
    ]


def _contents(cache: dict[Path, list[str]] = {}) -> Mapping[Path, list[str]]:  # noqa: B006
    if not cache:
        for path in text_files():
            if (
                path.suffix in SUFFIXES
                and "migrations" not in path.parts
                and "__pycache__" not in path.parts
                and path.name not in {Path(__file__).name, ".env", ".coverage"}
            ):
                cache[path] = path.read_text(errors="replace").splitlines()
    return cache


@pytest.mark.parametrize("pattern", sorted(COINED))
def test_a_coined_word_does_not_come_back(pattern: str) -> None:
    found = occurrences(pattern)

    assert found == [], f"write {COINED[pattern]!r} instead:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\blanes?\b|lane_|_lane\b|Lane\b", "the hot lane"),
        (r"\bwork(s|ed|ing)? off\b", "Works off what is due.".lower()),
    ],
)
def test_a_coined_word_is_found(pattern: str, text: str) -> None:
    assert pattern in COINED
    assert re.search(pattern, text)
