"""Input and output of exceptions."""

from __future__ import annotations

from rest_framework import serializers

from oms.api.fields import CharField, ChoiceField, InstantField, UUIDField
from oms.api.serializers import InputSerializer, OutputSerializer
from oms.exceptions.kinds import ExceptionKind


class ResolveInput(InputSerializer):
    note = CharField(
        required=False,
        default="",
        max_length=500,
        allow_blank=True,
        help_text="What was done about it; kept with the exception.",
    )


class ExceptionOutput(OutputSerializer):
    """What the shop could not settle by itself."""

    id = UUIDField()
    kind = ChoiceField(choices=ExceptionKind.choices)
    subject = serializers.CharField(
        help_text="The type and the id of what it is about, such as `refund:…`."
    )
    cause = serializers.CharField(help_text="What happened, in a sentence.")
    since = InstantField()
    order_id = UUIDField(allow_null=True)
    payment_id = UUIDField(allow_null=True)
    operations = serializers.ListField(
        child=serializers.CharField(),
        help_text=(
            "The calls that mend it, named as in the `allowed_actions` of its order. None for what"
            " is captured, voided or tried again in the back office."
        ),
    )
    resolved_at = InstantField(allow_null=True)
    resolved_by = serializers.CharField(
        help_text="Who resolved it, or the part of the system that mended it."
    )
    note = serializers.CharField()
