"""The API of the staff."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.permissions import IsStaff
from oms.api.views import ApiViewSet
from oms.users.api import examples
from oms.users.api.serializers import NewStaffInput, StaffInput, StaffOutput
from oms.users.errors import EmailTaken, OwnRights, SuperuserNeeded
from oms.users.operations.staff_members import add_staff_member, change_staff_member
from oms.users.queries import find_staff_member, staff_members

_CEILING = "Nobody grants a right that they lack, nor changes an account that has one."


class StaffViewSet(ApiViewSet):
    """The members of the staff, with their roles and permissions."""

    permission_classes = [IsStaff]

    @documented(
        summary="List the staff",
        description="All accounts of staff, newest first.",
        response=StaffOutput,
        response_example=examples.STAFF,
    )
    def list(self, request: Request) -> Response:
        return self.page(staff_members(actor=self.actor), StaffOutput)

    @documented(
        summary="Add a member of the staff",
        description=f"They get an e-mail with a link to set the password. {_CEILING}",
        request=NewStaffInput,
        response=StaffOutput,
        status=201,
        request_example=examples.NEW_STAFF,
        response_example=examples.STAFF,
        errors=[EmailTaken],
    )
    def create(self, request: Request) -> Response:
        user = add_staff_member(actor=self.actor, **self.parse(NewStaffInput))
        return Response(
            StaffOutput(user).data,
            status=201,
            headers={"Location": reverse("admin-staff-member", kwargs={"id": user.id})},
        )

    @documented(
        summary="Show a member of the staff",
        description="One account with its roles and permissions.",
        response=StaffOutput,
        response_example=examples.STAFF,
    )
    def retrieve(self, request: Request, id: Any) -> Response:
        user = find_staff_member(actor=self.actor, user_id=self.path_id())
        return Response(StaffOutput(user).data)

    @documented(
        summary="Change a member of the staff",
        description=f"Members that are missing stay as they are. {_CEILING}",
        request=StaffInput,
        response=StaffOutput,
        request_example={"roles": ["clerk", "stock_keeper"]},
        response_example=examples.STAFF,
        errors=[EmailTaken, SuperuserNeeded, OwnRights],
    )
    def partial_update(self, request: Request, id: Any) -> Response:
        values = self.parse(StaffInput)
        user = change_staff_member(actor=self.actor, user_id=self.path_id(), values=values)
        return Response(StaffOutput(user).data)
