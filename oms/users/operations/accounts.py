"""Registering and changing accounts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from oms.core.actor import Actor
from oms.core.errors import InputError, Invalid
from oms.db.transactions import transaction, transaction_required, violated_constraint
from oms.events.publishing import publish
from oms.users.errors import EmailTaken
from oms.users.events import UserChanged, UserRegistered
from oms.users.locks import lock_user
from oms.users.models import User
from oms.users.operations.authorization import check_authority
from oms.users.operations.sessions import end_sessions

OWN_FIELDS = ("full_name", "phone", "email", "language")
STAFF_FIELDS = (*OWN_FIELDS, "is_staff", "is_active")


@transaction
def register_user(
    *,
    actor: Actor,
    email: str,
    password: str,
    full_name: str,
    phone: str = "",
    language: str = "",
) -> User:
    """Create a customer account. Raises Invalid for a weak password, and EmailTaken."""
    user = User(
        email=User.objects.normalize_email(email),
        full_name=full_name,
        phone=phone,
        language=language,
    )
    check_password_strength(password, user=user)
    user.set_password(password)
    insert_user(user, actor=actor)
    return user


@transaction_required
def insert_user(user: User, *, actor: Actor) -> None:
    """Save a new account and publish it. Raises EmailTaken."""
    if User.objects.with_email(user.email).exists():
        raise EmailTaken
    try:
        user.save(force_insert=True)
    except IntegrityError as error:
        if violated_constraint(error) == "user_email_once":
            raise EmailTaken from error
        raise
    publish(UserRegistered(user_id=user.id, email=user.email), actor=actor)


def check_password_strength(password: str, *, user: User) -> None:
    """Raise Invalid with every reason why the validators reject the password of `user`."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(
            [
                InputError(pointer="/password", code=e.code or "invalid", detail=e.messages[0])
                for e in error.error_list
            ]
        ) from error


@transaction
def change_user(*, actor: Actor, user_id: UUID, values: dict[str, Any]) -> User:
    """Set `values` on the user: customers may set OWN_FIELDS of themselves, staff STAFF_FIELDS.

    Deactivating a user ends all of their sessions. Raises NotFound for another customer's account,
    Invalid for a field that customers may not set, EmailTaken, and what `check_authority` raises.
    """
    actor.require_for(user_id)
    allowed = STAFF_FIELDS if actor.is_staff else OWN_FIELDS
    if refused := sorted(values.keys() - set(allowed)):
        raise Invalid(
            [
                InputError(pointer=f"/{name}", code="not_settable", detail="You can't set this.")
                for name in refused
            ]
        )
    user = lock_user(user_id)
    if "email" in values:
        values = {**values, "email": User.objects.normalize_email(values["email"])}
    changes = {
        name: [getattr(user, name), value]
        for name, value in values.items()
        if getattr(user, name) != value
    }
    check_authority(actor=actor, user=user, changed=changes)
    if not changes:
        return user
    for name in changes:
        setattr(user, name, values[name])
    try:
        user.save(update_fields=[*changes, "updated_at"])
    except IntegrityError as error:
        if violated_constraint(error) == "user_email_once":
            raise EmailTaken from error
        raise
    publish(UserChanged(user_id=user.id, changes=changes), actor=actor)
    if "is_active" in changes and not user.is_active:
        end_sessions(actor=actor, user_id=user.id, reason="deactivated")
    return user
