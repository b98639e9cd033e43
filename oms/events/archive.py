"""The files of the archive: a month of the event log as compressed JSON Lines, and a manifest.

`events-2026-01.jsonl.gz` has one JSON object for each event, with the names of the log's columns,
in the order of (transaction, position). `events-2026-01.json` has their number and digest. A month
is in the archive once its manifest is there: it is written last.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import IO

FORMAT = "oms-events-1"


class ArchiveDamaged(Exception):
    """The file of a month differs from its manifest, or from the database."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The contents of a month's file.

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

    The files of an earlier attempt, whose events are the first of `lines`, are overwritten; others
    raise ArchiveDamaged. All is on the disk on return.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data, path = folder / f"events-{month:%Y-%m}.jsonl.gz", manifest_path(folder, month=month)
    earlier, digest = read_manifest(folder, month=month), _Digest()
    common = digest.sha256
    with _replacing(data) as file:
        # Without name and time, so that the same events always make the same file.
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as compressed:
            for line in digest.of(lines):
                compressed.write(line + b"\n")
                if earlier and digest.rows == earlier.rows:
                    common = digest.sha256
        if earlier and common != earlier.sha256:
            raise ArchiveDamaged(f"{data} has other events than the table; move it away.")
        path.unlink(missing_ok=True)
    manifest = digest.manifest(month=month, file=data.name)
    with _replacing(path) as file:
        file.write(json.dumps(asdict(manifest), indent=2).encode())
    return manifest


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that gets the name `path` once it is complete and on the disk."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
    digest = _Digest()
    try:
        with gzip.open(folder / manifest.file, "rb") as file:
            yield from digest.of(line.rstrip(b"\n") for line in file)
    except (OSError, EOFError, zlib.error) as error:
        raise ArchiveDamaged(f"{manifest.file} cannot be read: {error}") from error
    if (digest.rows, digest.sha256) != (manifest.rows, manifest.sha256):
        raise ArchiveDamaged(f"{manifest.file} differs from its manifest.")


def verify_file(folder: Path, *, manifest: Manifest) -> None:
    """Read a month's whole file; ArchiveDamaged if it differs from its manifest."""
    deque(read_month(folder, manifest=manifest), maxlen=0)


def manifest_path(folder: Path, *, month: date) -> Path:
    """Where the manifest of `month` is, or would be."""
    return folder / f"events-{month:%Y-%m}.json"


class _Digest:
    """Counts and hashes lines as they pass."""

    def __init__(self) -> None:
        self.rows = 0
        self._hash = hashlib.sha256()
        self._first = self._last = b""

    def of(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        for line in lines:
            self._first = self._first or line
            self._last = line
            self.rows += 1
            self._hash.update(line + b"\n")
            yield line

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def manifest(self, *, month: date, file: str) -> Manifest:
        return Manifest(
            month=f"{month:%Y-%m}",
            file=file,
            rows=self.rows,
            sha256=self.sha256,
            first=_position(self._first),
            last=_position(self._last),
        )


def _position(line: bytes) -> tuple[str, str] | None:
    if not line:
        return None
    event = json.loads(line)
    return str(event["transaction"]), str(event["position"])
