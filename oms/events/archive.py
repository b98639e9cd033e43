"""The files of the archive: a month of the event log as compressed JSON Lines, and a manifest.

`events-2026-01.jsonl.gz` has one JSON object for each event, with the names of the log's columns,
in the order of (transaction, position). `events-2026-01.json` says how many there are and what
their digest is. A month is in the archive once its manifest is there: it is written last.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

FORMAT = "oms-events-1"


class ArchiveDamaged(Exception):
    """The file of a month is not what its manifest, or the database, says."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What stands in a month's file.

    `sha256` is of the content before compression, `first` and `last` are the (transaction,
    position) of the first and the last event; all are text, as JSON keeps it exactly.
    """

    month: str
    file: str
    rows: int
    sha256: str
    first: tuple[str, str] | None
    last: tuple[str, str] | None
    format: str = FORMAT


def write_month(folder: Path, *, month: date, lines: Iterable[bytes]) -> Manifest:
    """Write the events `lines`, each the JSON of one without its newline, and then the manifest.

    What an earlier, broken off attempt has left is overwritten. All is on the disk on return.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / f"events-{month:%Y-%m}.jsonl.gz"
    summary = _Summary()
    unfinished = data.with_suffix(".partial")
    with unfinished.open("wb") as file:
        # Without name and time, so that the same events always make the same file.
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as compressed:
            for line in summary.of(lines):
                compressed.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    manifest_path(folder, month=month).unlink(missing_ok=True)
    unfinished.rename(data)
    _sync(folder)
    manifest = summary.manifest(month=month, file=data.name)
    path = manifest_path(folder, month=month)
    unfinished = path.with_suffix(".partial-manifest")
    with unfinished.open("w") as text:
        json.dump(asdict(manifest), text, indent=2)
        text.flush()
        os.fsync(text.fileno())
    unfinished.rename(path)
    _sync(folder)
    return manifest


def read_manifest(folder: Path, *, month: date) -> Manifest | None:
    """The manifest of `month`; None if the month is not, or not wholly, in the archive."""
    try:
        fields = json.loads(manifest_path(folder, month=month).read_text())
    except FileNotFoundError:
        return None
    if fields.get("format") != FORMAT:
        raise ArchiveDamaged(f"The archive of {month:%Y-%m} has an unknown format.")
    for end in ("first", "last"):
        fields[end] = tuple(fields[end]) if fields[end] else None
    return Manifest(**fields)


def read_month(folder: Path, *, manifest: Manifest) -> Iterator[bytes]:
    """The lines of a month's file, without newlines.

    Raises ArchiveDamaged, at the end, if they are not those of the manifest.
    """
    summary = _Summary()
    try:
        with gzip.open(folder / manifest.file, "rb") as file:
            yield from summary.of(line.rstrip(b"\n") for line in file)
    except (OSError, EOFError, zlib.error) as error:
        raise ArchiveDamaged(f"{manifest.file} cannot be read: {error}") from error
    if (summary.rows, summary.sha256) != (manifest.rows, manifest.sha256):
        raise ArchiveDamaged(f"{manifest.file} is not what its manifest says.")


def manifest_path(folder: Path, *, month: date) -> Path:
    """Where the manifest of `month` is, or would be."""
    return folder / f"events-{month:%Y-%m}.json"


class _Summary:
    """Counts and digests lines as they pass."""

    def __init__(self) -> None:
        self.rows = 0
        self._digest = hashlib.sha256()
        self._first = self._last = b""

    def of(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        for line in lines:
            self._first = self._first or line
            self._last = line
            self.rows += 1
            self._digest.update(line + b"\n")
            yield line

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def manifest(self, *, month: date, file: str) -> Manifest:
        return Manifest(
            month=f"{month:%Y-%m}",
            file=file,
            rows=self.rows,
            sha256=self.sha256,
            first=_place(self._first),
            last=_place(self._last),
        )


def _place(line: bytes) -> tuple[str, str] | None:
    if not line:
        return None
    event = json.loads(line)
    return str(event["transaction"]), str(event["position"])


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
