"""Authentication, the REST API and its limits."""

from __future__ import annotations

import re
from datetime import timedelta

from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy

from oms.settings.environment import check_signing_keys, env, secret

# --- Users ----------------------------------------------------------------------------------------
AUTH_USER_MODEL = "users.User"
# For the back office; the API uses tokens.
AUTHENTICATION_BACKENDS = ["oms.users.authentication.BackOfficeBackend"]
PASSWORD_HASHERS = ["oms.users.hashers.PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")

# Tokens of the fallbacks are accepted too; how a key is replaced: SECURITY.md.
JWT_SIGNING_KEY = secret("JWT_SIGNING_KEY")
JWT_SIGNING_KEY_FALLBACKS = env.list("JWT_SIGNING_KEY_FALLBACKS", default=[])
check_signing_keys("JWT_SIGNING_KEY", [JWT_SIGNING_KEY, *JWT_SIGNING_KEY_FALLBACKS])
SIMPLE_JWT = {
    "ALGORITHM": "HS256",
    "AUTH_TOKEN_CLASSES": ["oms.users.signing_keys.AccessToken"],
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "ISSUER": "oms",
    "AUDIENCE": "oms-api",
    "USER_ID_CLAIM": "sub",
}

# --- The API --------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["oms.users.authentication.AccessTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["oms.api.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["oms.api.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "oms.api.pagination.KeysetPagination",
    "DEFAULT_FILTER_BACKENDS": ["oms.api.filters.StrictFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "oms.api.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "oms.http.problems.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Order management API",
    "DESCRIPTION": "Places, pays, ships and reports orders. Errors are RFC 9457 problems.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    # No shared enumerations: many fields are called "status".
    "POSTPROCESSING_HOOKS": [],
}
API_BODY_LIMIT = 64 * 1024
API_BULK_BODY_LIMIT = 2 * 1024 * 1024
# Where bodies may have the larger limit, besides routes that end in "/bulk".
API_LARGE_BODY_PATHS = frozenset(
    f"/api/v1/admin/inventory/{documents}" for documents in ("receipts", "transfers", "counts")
)
API_JSON_DEPTH_LIMIT = 32
# Seconds for a request's body, and for an answer's client to take more of it.
REQUEST_BODY_TIMEOUT = env.float("REQUEST_BODY_TIMEOUT", default=10.0)
# Seconds from the arrival of any request until its answer begins, at the latest.
REQUEST_DEADLINE = env.float("REQUEST_DEADLINE", default=20.0)
DATA_UPLOAD_MAX_MEMORY_SIZE = API_BULK_BODY_LIMIT
IDEMPOTENCY_KEY_LIFETIME = timedelta(hours=24)
# Routes without idempotency keys: see docs/decisions/0006-idempotency-keys.md.
IDEMPOTENCY_EXEMPT = ("/api/v1/auth/", "/api/v1/payments/webhooks/")

# --- The fast path; see docs/decisions/0010-fast-path.md ------------------------------------------
FAST_PATH = env.bool("FAST_PATH", default=True)
# The most orders of one batch, in each web process.
FAST_PATH_BATCH = env.int("FAST_PATH_BATCH", default=192)
# How long a batch waits for row locks, in milliseconds.
FAST_PATH_LOCK_TIMEOUT_MS = env.int("FAST_PATH_LOCK_TIMEOUT_MS", default=250)
# Seconds after which a batch has failed: its callers get 503, and its thread is replaced.
FAST_PATH_DEADLINE = env.float("FAST_PATH_DEADLINE", default=8.0)


def rate(name: str, *, default: str) -> str:
    """The rate limit called `name`, such as "60/minute". Raises ImproperlyConfigured."""
    value: str = env.str(name, default=default)
    if not re.fullmatch(r"[1-9][0-9]{0,14}/(second|minute|hour|day)", value):
        raise ImproperlyConfigured(
            f"{name} must be a count per second, minute, hour or day: 60/minute."
        )
    return value


# All rate limits by name. The last word says what is counted: requests of one client address (of
# IPv6 its /64), of one signed-in user, or logins that name one account. See decision 0007.
RATE_LIMITS = {
    "register_address": rate("RATE_LIMIT_REGISTER", default="60/minute"),
    "token_address": rate("RATE_LIMIT_TOKEN", default="60/minute"),
    "token_account": rate("RATE_LIMIT_TOKEN_ACCOUNT", default="10/minute"),
    "password_user": rate("RATE_LIMIT_PASSWORD", default="10/minute"),
    "place_user": rate("RATE_LIMIT_PLACE", default="600/minute"),
    "general_user": rate("RATE_LIMIT_USER", default="3000/minute"),
    "general_address": rate("RATE_LIMIT_ANONYMOUS", default="600/minute"),
}
# Open streams and WebSockets in each web process: of one client address (behind which may be an
# office), and of one account.
STREAMS_PER_ADDRESS = env.int("STREAMS_PER_ADDRESS", default=200)
STREAMS_PER_ACCOUNT = env.int("STREAMS_PER_ACCOUNT", default=20)
# Whether an account was used from an address before: attempts from there are counted apart. Named
# here because oms.http, which counts, is below oms.users.
IS_KNOWN_ADDRESS = "oms.users.operations.known_addresses.is_known_address"
# The limits of single routes, by method and URL name. All other requests under /api have the
# general ones: of the user, or of the address of anonymous requests.
_LOGIN = ("token_address", "token_account")
RATE_LIMITED_ROUTES: dict[tuple[str, str], tuple[str, ...]] = {
    ("POST", "user-list"): ("register_address",),
    ("POST", "token"): _LOGIN,
    # Both logins share the limits, so using both does not allow more attempts.
    ("POST", "admin:login"): _LOGIN,
    ("POST", "own-password"): ("password_user",),
    ("POST", "password-link"): ("token_address",),
    ("POST", "orders"): ("place_user",),
    ("POST", "orders-bulk"): ("place_user",),
    # Payment providers call in bursts from one address, and sign what they send.
    ("POST", "payment-webhook"): (),
}
# A counter that Redis lost between two commands is counted in the process, not refused.
RATELIMIT_FAIL_OPEN = True
