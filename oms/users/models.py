"""Users, their API sessions, and the addresses that they log in from."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Lower, Upper
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from oms.core.ids import new_id
from oms.core.languages import LANGUAGE_TAG, MAX_LANGUAGE_LENGTH
from oms.core.permissions import NO_PERMISSIONS, Permission
from oms.users.granted import granted_permissions


class UserManager(BaseUserManager["User"]):
    def with_email(self, email: str | None) -> models.QuerySet[User]:
        """The user with that address in any case; uses the index on Lower(email)."""
        return self.alias(folded=Lower("email")).filter(folded=Lower(Value(email)))

    def get_by_natural_key(self, username: str | None) -> User:
        return self.with_email(username).get()

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A saved user with that password, or an unusable one."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A saved superuser, for `manage.py createsuperuser`."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A customer or staff member, who signs in with the e-mail address in any case."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(_("e-mail address"), max_length=254)
    full_name = models.CharField(_("full name"), max_length=200)
    phone = models.CharField(
        _("phone"),
        max_length=20,
        blank=True,
        # ITU-T E.164: at most 15 digits, optionally with separators.
        validators=[RegexValidator(r"^\+?[0-9][0-9 ()/.-]{3,18}$", _("Enter a phone number."))],
    )
    is_staff = models.BooleanField(
        _("staff"), default=False, help_text=_("Can use the back office and the admin API.")
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Deactivate accounts instead of deleting them.")
    )
    language = models.CharField(
        _("language"),
        max_length=MAX_LANGUAGE_LENGTH,
        blank=True,
        # So that processes of the version before can still create accounts.
        db_default="",
        validators=[RegexValidator(rf"^{LANGUAGE_TAG}\Z", _("Enter a language tag."))],
        help_text=_("A language tag such as de-AT (BCP 47). Empty: the shop's own language."),
    )
    session_version = models.IntegerField(
        default=0,
        # As above.
        db_default=0,
        editable=False,
        help_text="Sessions of the back office that began with another version have ended.",
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["full_name"]

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        # Those of oms.core.permissions are the only ones; Django's for each model are not asked.
        default_permissions = ()
        permissions = [(permission.value, permission.label) for permission in Permission]
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_once")]
        # Staff search by any part of the address, name or phone number.
        indexes = [
            GinIndex(OpClass(Upper("email"), "gin_trgm_ops"), name="user_email_search"),
            GinIndex(OpClass(Upper("full_name"), "gin_trgm_ops"), name="user_name_search"),
            GinIndex(OpClass(Upper("phone"), "gin_trgm_ops"), name="user_phone_search"),
            models.Index(fields=["created_at", "id"], name="user_created"),
            # Rare values, whose lists would otherwise scan all users.
            models.Index(
                fields=["created_at", "id"], name="user_staff", condition=Q(is_staff=True)
            ),
            models.Index(
                fields=["created_at", "id"], name="user_inactive", condition=Q(is_active=False)
            ),
        ]

    def __str__(self) -> str:
        return self.email

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What a session of the back office is compared with at each request."""
        # Without a version as Django makes it, for sessions from before there were any.
        version = f":{self.session_version}" if self.session_version else ""
        salt = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"
        return salted_hmac(
            salt, f"{self.password}{version}", secret=secret, algorithm="sha256"
        ).hexdigest()

    @cached_property
    def permissions(self) -> frozenset[Permission]:
        """What was granted to a member of the staff, read once; superusers need none."""
        if not self.is_staff or self.is_superuser:
            return NO_PERMISSIONS
        return granted_permissions(self.id)

    def get_full_name(self) -> str:
        return self.full_name

    def get_short_name(self) -> str:
        return self.full_name.split(" ")[0] or self.email


class Session(models.Model):
    """One login: a family of refresh tokens, of which only the latest is valid.

    Access tokens name their session, so revoking it invalidates them too.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    refresh_jti = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    rotated_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revoked_because = models.CharField(max_length=32, blank=True)

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        indexes = [
            models.Index(fields=["expires_at"], name="session_expiry"),
            models.Index(
                fields=["revoked_at"],
                name="session_revoked",
                condition=Q(revoked_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}, {self.created_at:%Y-%m-%d %H:%M}"


class KnownAddress(models.Model):
    """An address from which a user has logged in; of IPv6 the /64 network."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", db_index=False)
    address = models.CharField(max_length=49)
    used_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "address"], name="known_address_once")
        ]
        indexes = [models.Index(fields=["used_at"], name="known_address_age")]

    def __str__(self) -> str:
        return self.address
