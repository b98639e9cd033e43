"""What is compiled of a serializer takes less than the serializer, and never anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from oms.api.decoders import compiled
from oms.api.fields import CharField, ChoiceField, CountryField, IntegerField, UUIDField
from oms.api.serializers import InputSerializer
from oms.core.errors import OperationError
from oms.http.payloads import decode

ID = "01a1fcec-dd92-7098-baf7-6372d63b1cc8"


class Part(InputSerializer):
    id = UUIDField()
    quantity = IntegerField(min_value=1, max_value=10)


class Package(InputSerializer):
    parts = serializers.ListSerializer[Any](child=Part(), min_length=1, max_length=3)
    country = CountryField()
    kind = ChoiceField(choices=["small", "large"], default="small")
    name = CharField(max_length=8)
    note = CharField(max_length=12, multiline=True, allow_blank=True, default="")
    hint = CharField(max_length=5, required=False)

    def validate_parts(self, parts: list[Any]) -> list[Any]:
        if len({part["id"] for part in parts}) < len(parts):
            raise serializers.ValidationError("twice")
        return parts


decode_package = compiled(Package)


def validated(body: bytes) -> Any:
    """What the serializer makes of the body; None if it refuses it."""
    try:
        serializer = Package(data=decode(body))
        serializer.is_valid(raise_exception=True)
    except (ValidationError, OperationError):
        return None
    return serializer.validated_data


def plain(value: Any) -> Any:
    if hasattr(value, "keys"):
        return {name: plain(value[name]) for name in value.keys()}  # noqa: SIM118  # no iterator
    return [plain(one) for one in value] if isinstance(value, list) else value


def body(**changes: Any) -> bytes:
    good = {"parts": [{"id": ID, "quantity": 2}], "country": "DE", "name": "Ada"}
    return json.dumps({**good, **changes}).encode()


@pytest.mark.parametrize(
    "changes",
    [{}, {"kind": "large", "hint": "x"}, {"note": "a\nb\tc"}, {"note": 'a "b" \\'}, {"note": ""}],
)
def test_a_usual_body_is_decoded_as_by_the_serializer(changes: Any) -> None:
    decoded = decode_package(body(**changes))

    assert decoded is not None
    assert plain(decoded) == plain(validated(body(**changes)))
    assert "hint" in decoded if "hint" in changes else "hint" not in decoded


@pytest.mark.parametrize(
    "unusual",
    [
        body(name=" Ada"),
        body(name="Ada\u2003"),
        body(parts=[{"id": ID.replace("-", ""), "quantity": 2}]),
        body(parts=[{"id": ID.replace("-", "").replace("0", "\\u0030", 1), "quantity": 2}]),
        body(parts=[{"id": ID, "quantity": 2.0}]),
        body(parts=[{"id": ID, "quantity": True}]),
        body(parts=[{"id": ID, "quantity": 11}]),
        body(parts=[{"id": ID, "quantity": 2}] * 2),
        body(parts=[]),
        body(name=""),
        body(name="x" * 9),
        body(name="a\x00"),
        body(name="a\x85b"),
        body(country="de"),
        body(extra=1),
        body(hint=None),
        body()[:-1] + b', "name": "Eve"}',
        body()[:-1] + b', "parts": [{"id": "' + ID.encode() + b'", "quantity": 3}]}',
        body()[:-1],
        b'"\\ud800"',
        b"[" * 100_000,
        b"\xff",
        b"",
    ],
)
def test_an_unusual_body_is_left_to_the_serializer(unusual: bytes) -> None:
    assert decode_package(unusual) is None


texts = st.text(alphabet=st.sampled_from('aé "\\\n\t\x00\x1f\x7f\x85\u2003\U0001f600'), max_size=14)
values = st.one_of(texts, st.integers(-2, 12), st.floats(), st.booleans(), st.none())
parts = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from([ID, ID.upper(), ID.replace("-", ""), ID[:-1] + "9", "x"]),
            "quantity": st.one_of(st.integers(-1, 11), values),
        },
        optional={"more": values},
    ),
    max_size=4,
)


@settings(max_examples=400, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "parts": st.one_of(parts, values),
            "country": st.sampled_from(["DE", "FR", "de", "XX", 5]),
            "name": values,
        },
        optional={"kind": values, "note": values, "hint": values, "other": values},
    ),
    st.booleans(),
)
def test_the_decoder_never_accepts_what_the_serializer_rejects(
    document: Any, ascii_only: bool
) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only).encode()

    decoded = decode_package(text)

    if decoded is not None:
        assert plain(decoded) == plain(validated(text))


def test_a_field_without_a_compiled_form_is_refused_at_the_start() -> None:
    class Odd(InputSerializer):
        when = serializers.DateTimeField()

    with pytest.raises(TypeError, match="DateTimeField"):
        compiled(Odd)
