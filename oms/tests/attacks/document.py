"""The request bodies of the OpenAPI document, and wrong values for each place of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from django.urls import reverse
from drf_spectacular.generators import SchemaGenerator

from oms.tests.attacks.shop import Request

Schema = dict[str, Any]
Place = tuple[str | int, ...]


@cache
def _document() -> Schema:
    document: Schema = SchemaGenerator().get_schema(request=None, public=True)
    return document


def operation_of(method: str, route: str, request: Request) -> Schema | None:
    """What the document says about the operation; None if nothing."""
    path = reverse(route, kwargs=dict(request.kwargs))
    for template, methods in sorted(_document()["paths"].items(), key=lambda item: "{" in item[0]):
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            found: Schema | None = methods.get(method.lower())
            return found
    return None


def member_names() -> frozenset[str]:
    """The names of all members of all objects in the document."""
    schemas = _document()["components"]["schemas"].values()
    return frozenset(name for schema in schemas for name in schema.get("properties", ()))


def body_schema(method: str, route: str, request: Request) -> Schema | None:
    """The schema of the operation's body, without references; None if it has none."""
    operation = operation_of(method, route, request)
    if operation is None or "requestBody" not in operation:
        return None
    return _resolved(operation["requestBody"]["content"]["application/json"]["schema"])


def _resolved(schema: Schema) -> Schema:
    """The schema without references."""
    if "$ref" in schema:
        schema = _document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if len(schema.get("allOf", ())) == 1:
        schema = {**schema, **_resolved(schema["allOf"][0])}
    if "oneOf" in schema and "type" not in schema:  # an empty text beside another one
        texts = [_resolved(branch) for branch in schema["oneOf"]]
        schema = {**schema, **max(texts, key=lambda text: text["maxLength"])}
    resolved = dict(schema)
    if "properties" in schema:
        members = schema["properties"].items()
        resolved["properties"] = {name: _resolved(member) for name, member in members}
    if "items" in schema:
        resolved["items"] = _resolved(schema["items"])
    return resolved


def places(schema: Schema, place: Place = ()) -> Iterator[tuple[Place, Schema]]:
    """Each place of a body with its schema; of a list the first item alone."""
    yield place, schema
    for name, member in schema.get("properties", {}).items():
        yield from places(member, (*place, name))
    if "items" in schema:
        yield from places(schema["items"], (*place, 0))


def with_value(body: Any, place: Place, value: Any) -> Any:
    """`body` with `value` at the place; what is missing on the way is created."""
    if not place:
        return value
    step, *rest = place
    if isinstance(step, int):
        items = list(body or [None])
        items[step] = with_value(items[step], tuple(rest), value)
        return items
    members = dict(body or {})
    members[step] = with_value(members.get(step), tuple(rest), value)
    return members


def wrong_values(schema: Schema) -> Iterator[Any]:
    """Values that no place with the schema takes."""
    match schema["type"]:
        case "object":
            yield from ([], "x", 5, [[]])
        case "array":
            # An empty list never decides what is done.
            yield from ([], {}, "x", 5, [None], [[]])
            yield [{}] * (schema["maxItems"] + 1)
        case "boolean":
            yield from ("true", "yes", 1, 0, "", [])
        case "integer":
            yield from (schema["minimum"] - 1, schema["maximum"] + 1, 10**30, -(10**30), 1.5)
            yield from ("1", "1_000", "\u0661\u0662", True, [1], {})
        case "string":
            yield from ("\x00", "a\x00b", "\ud800", "a\udfff", 5, True, ["x"], {"x": "y"})
            yield from _wrong_texts(schema)
        case other:
            raise AssertionError(f"No wrong values are known for {other}.")


def _wrong_texts(schema: Schema) -> Iterator[str]:
    if "enum" in schema:
        yield from ("nonsense", schema["enum"][-1].swapcase())
    elif schema.get("format") == "uuid":
        yield from ("", "x", "0" * 32, "g" * 8 + "-0000-0000-0000-" + "0" * 12, "' OR 1=1 --")
    elif schema.get("format") == "decimal":
        yield from ("", "-0.00", "-1", "1e3", "NaN", "Infinity", "1.999", "1,50", "\u0661", " 1")
        yield from ("9" * 30, "0x10", "1_000", "+1")
    else:
        yield "x" * (schema["maxLength"] + 1)
        if schema.get("format") == "email":
            yield from ("x", "a@b", "a@b.de\nBcc: c@d.de", "a b@c.de")


def encoded(value: Any) -> bytes:
    """The JSON of `value`, with lone surrogates as escapes."""
    return json.dumps(value).encode()


def pointer_of(place: Sequence[str | int]) -> str:
    """The JSON pointer of the place."""
    return "".join(f"/{step}" for step in place)
