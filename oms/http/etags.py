"""Versions as entity tags (RFC 9110, sections 8.8.3 and 13.1)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from django.http import HttpRequest

from oms.http.headers import InvalidHeader

_TAG = re.compile(r'(?P<weak>W/)?"(?P<opaque>[!#-~]*)"')
# A comma may stand inside a tag too. As RFC 9110, section 5.6.1 has lists, elements may be empty.
_LIST = re.compile(r'[ \t,]*+(?:(?:W/)?"[!#-~]*"(?:[ \t]*+,[ \t,]*+|[ \t]*+$))++')

# The version that no object has.
NO_VERSION = -1


def etag_for(version: int, *, variant: str = "") -> str:
    """The strong entity tag of `version`: `"v7"` for 7, or `"v7-staff"` of the variant "staff"."""
    return f'"v{version}-{variant}"' if variant else f'"v{version}"'


def etag_of_list(parts: Iterable[object]) -> str:
    """The strong entity tag of a list that is the same for as long as all `parts` are."""
    return f'"{hashlib.sha256(repr(tuple(parts)).encode()).hexdigest()[:32]}"'


def expected_version(request: HttpRequest) -> int | None:
    """The version that If-Match wants the object to have; None if any will do.

    Of several, the highest: versions only grow, so the others are outdated. Weak tags never match
    (the comparison is the strong one), and neither do unknown tags; a header with only those gives
    NO_VERSION. Raises InvalidHeader.
    """
    tags = _tags(request.headers.get("If-Match"), "If-Match")
    if tags is None:
        return None
    ours = (re.fullmatch(r"v([0-9]{1,18})(-.*)?", opaque) for weak, opaque in tags if not weak)
    return max((int(match[1]) for match in ours if match), default=NO_VERSION)


def is_unchanged(request: HttpRequest, *, etag: str) -> bool:
    """Whether If-None-Match names `etag` or "*", so that the client has the answer already."""
    return names_tag(request.headers.get("If-None-Match"), etag=etag)


def names_tag(if_none_match: str | None, *, etag: str) -> bool:
    """Whether the header's value names `etag` or "*". Raises InvalidHeader."""
    if if_none_match is None:
        return False
    tags = _tags(if_none_match, "If-None-Match")
    return tags is None or any(f'"{opaque}"' == etag for _, opaque in tags)


def _tags(value: str | None, header: str) -> list[tuple[bool, str]] | None:
    """The tags of a header's value as (is weak, opaque text); None for "*" and for no header."""
    if value is None or value.strip() == "*":
        return None
    if not _LIST.fullmatch(value):
        raise InvalidHeader(header, 'Entity tags are quoted, such as "v7".')
    return [(match["weak"] is not None, match["opaque"]) for match in _TAG.finditer(value)]
