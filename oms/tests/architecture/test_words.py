"""Names and prose use the field's terms: words that were coined here once must not come back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from oms.testing.environment import ROOT

# Pattern of the word, and what to write instead.
COINED: Mapping[str, str] = {
    r"\blanes?\b|lane_|_lane\b|Lane\b": "fast path",
    r"\b(un)?hears?\b|\bheard\b|\bhearing\b|HEARD|_heard\b|heard_": "handle, subscribe to, receive",
    r"\btold\b|\btelling\b|_told\b|told_|telling_": "notify, log, record, report",
    r"\bg(i|a)v(e|es|ing|en) back\b|giv(e|es|ing)_back": "refund, void, release",
    r"\bgo(es|ing) back\b|\bwent back\b|\bgo_back\b": "refund, return; roll back",
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
    r"\bmoments\b": "timestamps, times",
    r"WantedStep|\bwanted_|_wanted\b": "RequestedAction, requested",
    r"\basking_\w|\bopening_\w": "an explicit query or pipeline object",
    # The constraint's name stays.
    r"\bparked\b|\bParkedEvent\b|\bparked_(?!event_once)|_parked\b": "failed event, dead letter",
    r"\bstamps?\b|_stamps?\b|\bstamp_": "cache version",
    r"_turns?\b|\bturn_of\b|\bturns of\b": "process lock, slot",
    r"stay_awake|is_awake|\bwaking\b": "hold wake-ups, wake-up",
    # Payloads of stored events keep the name.
    r"(?<![.\"'`])\bpieces?\b(?![=:\"'`])": "units, items, quantity",
    r"\bparcels?\b": "shipment",
    # The problem code `unreadable_news` is public.
    r"\bnews\b|(?<!unreadable)_news\b|\bnews_": "event, update",
    r"\bdearer?\b": "expensive, cost",
    r"\bgood for\b": "valid for",
    r"\bamid\b": "in, during",
    # The names of Celery tasks stay.
    r"(?<![.\w])drain(s|ed|ing)?\b": "process due work",
    r"\bthe house\b": "the project, the shop",
    r"\bEmbedded(Postgres|Valkey)|EmbeddedServiceError\b": "local_postgres, local_valkey",
}

# Still in use. Each is removed from here with its last use.
PENDING = {
    r"\blanes?\b|lane_|_lane\b|Lane\b",
    r"\b(un)?hears?\b|\bheard\b|\bhearing\b|HEARD|_heard\b|heard_",
    r"\btold\b|\btelling\b|_told\b|told_|telling_",
    r"\bg(i|a)v(e|es|ing|en) back\b|giv(e|es|ing)_back",
    r"\bbec(o|a)mes? of\b",
    r"\bwork(s|ed|ing)? off\b",
    r"\basking_\w|\bopening_\w",
    r"\bstamps?\b|_stamps?\b|\bstamp_",
    r"stay_awake|is_awake|\bwaking\b",
    r"(?<![.\"'`])\bpieces?\b(?![=:\"'`])",
    r"\bparcels?\b",
    r"\bdearer?\b",
    r"\bgood for\b",
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


def test_pending_words_are_listed() -> None:
    assert set(COINED) >= PENDING


@pytest.mark.parametrize("pattern", sorted(set(COINED) - PENDING))
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
