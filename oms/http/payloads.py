"""JSON of requests and responses: strict parsing, fast rendering."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from django.conf import settings
from django.utils.functional import Promise

from oms.core.errors import InputError, Invalid

_ESCAPE = re.compile(rb"\\.")


class MalformedJson(Invalid):
    """The body is not valid JSON (RFC 8259)."""

    code = "malformed_json"


class RepeatedMember(Invalid):
    """An object in the body has two members of one name, and so no clear meaning."""

    code = "repeated_member"


class TooDeep(Invalid):
    """The body is nested too deeply."""

    code = "too_deep"


class ForbiddenCharacter(Invalid):
    """The input contains a character that is never allowed, such as NUL."""

    code = "forbidden_character"


def _encode_other(value: Any) -> str:
    if isinstance(value, str | Promise):  # subclasses of str, and lazy translations
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form.")


_encoder = msgspec.json.Encoder(enc_hook=_encode_other)
_decoder = msgspec.json.Decoder()


def encode(data: Any) -> bytes:
    """`data` as UTF-8 JSON: decimals and UUIDs as strings, times in UTC with a Z."""
    return _encoder.encode(data)


def decode(body: bytes) -> Any:
    """The JSON value of `body`.

    Raises MalformedJson (NaN, Infinity, lone surrogates and invalid UTF-8 are none), TooDeep past
    settings.API_JSON_DEPTH_LIMIT levels, RepeatedMember for a name that an object has twice, and
    ForbiddenCharacter for a NUL in any text.
    """
    try:
        value = _decoder.decode(body)
    except RecursionError as error:
        raise TooDeep from error
    except UnicodeDecodeError as error:
        raise MalformedJson((), "The body is not valid JSON: it is not UTF-8.") from error
    except msgspec.DecodeError as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        raise MalformedJson((), f"The body is not valid JSON: {reason}.") from error
    _check_depth(value, limit=settings.API_JSON_DEPTH_LIMIT)
    # Of members with one name the decoder keeps the last, so strings are missing then.
    if _count_strings(value) != count_strings(body):
        raise RepeatedMember
    # A NUL can only come as an escape; most bodies have none, and are not searched.
    if b"\\u0000" in body:
        _refuse_nul(value, pointer="")
    return value


def count_strings(text: bytes) -> int:
    """How many strings there are in the JSON `text`, names of members included."""
    if b"\\" in text:
        text = _ESCAPE.sub(b"", text)
    return text.count(b'"') // 2


def _check_depth(value: Any, *, limit: int) -> None:
    """Raise TooDeep if containers are nested in more than `limit` levels; without recursion."""
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        if depth > limit:
            raise TooDeep((), f"The body is nested in more than {limit} levels.")
        level = [
            child for item in level for child in (item.values() if isinstance(item, dict) else item)
        ]


def _count_strings(value: Any) -> int:
    """How many strings there are in `value`, names of members included."""
    if isinstance(value, str):
        return 1
    if isinstance(value, dict):
        return len(value) + sum(map(_count_strings, value.values()))
    if isinstance(value, list):
        return sum(map(_count_strings, value))
    return 0


def _refuse_nul(value: Any, *, pointer: str) -> None:
    if isinstance(value, str):
        if "\x00" in value:
            raise ForbiddenCharacter(
                [
                    InputError(
                        pointer=pointer,
                        code="forbidden_character",
                        detail="Null characters are not allowed.",
                    )
                ]
            )
    elif isinstance(value, dict):
        for key, child in value.items():
            _refuse_nul(key, pointer=pointer)
            _refuse_nul(child, pointer=f"{pointer}/{pointer_token(key)}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            _refuse_nul(child, pointer=f"{pointer}/{index}")


def pointer_token(name: Any) -> str:
    """`name` as one reference token of a JSON pointer (RFC 6901, section 3)."""
    return str(name).replace("~", "~0").replace("/", "~1")
