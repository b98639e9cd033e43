"""Settings, all of them taken from the environment; see .env.example for the list."""

from __future__ import annotations

import contextlib
import logging.config
import os
import secrets
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import django_stubs_ext
import environ
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from oms.core.logging import structlog_configuration

# Lets classes of Django be written with their type arguments: models.Field[Any, Any].
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)

# Everything a development copy keeps: the embedded database, mail files, logs, its own secrets.
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))

# --- Ports: PORT moves all of them ------------------------------------------------------------
PORT = env.int("PORT", default=8000)
SANDBOX_PORT = env.int("SANDBOX_PORT", default=PORT + 1)
VALKEY_PORT = PORT + 2


def secret(name: str) -> str:
    """The secret called `name` from the environment.

    With DEBUG on, a missing one is made once and kept in var/secrets/, so that every process of a
    development copy agrees on it. Without DEBUG a missing secret stops the start.
    """
    if value := env.str(name, default=""):
        return value
    if not DEBUG:
        raise ImproperlyConfigured(f"{name} must be set when DEBUG is off.")
    path = VAR_DIR / "secrets" / name.lower()
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Written before it gets its name, for another process of this copy may look for it.
            descriptor, draft = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(48))
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
            os.unlink(draft)
        return path.read_text().strip()
    except PermissionError as error:
        raise ImproperlyConfigured(
            f"{path} belongs to another user, probably because the shop was run as root before. "
            f"Run it as that user again, or remove {VAR_DIR}."
        ) from error


SECRET_KEY = secret("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["*"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://127.0.0.1:{PORT}")

INSTALLED_APPS = [
    # In place of unfold's and Django's default configurations: the admin site is our own.
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "oms.http.back_office.apps.BackOfficeConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_prometheus",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "oms.core",
    "oms.events",
    "oms.http",
    "oms.users",
    "oms.audit",
    "oms.management.apps.ManagementConfig",
    "inventory",
    "payments",
    "orders",
    "notifications",
    "reports",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "oms.http.middleware.RequestContextMiddleware",
    "oms.http.middleware.ProblemMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # First of what can refuse, so that each answer of a limited route is counted and tells it.
    "oms.http.middleware.RateLimitMiddleware",
    "oms.http.middleware.BodyLimitMiddleware",
    "oms.http.middleware.DeadlineMiddleware",
    "oms.http.middleware.IdempotencyMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "oms.urls"
WSGI_APPLICATION = "oms.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "oms" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Database ---------------------------------------------------------------------------------
# Without DATABASE_URL: the embedded PostgreSQL of `make run`, reached by a socket in its folder.
DATABASE_URL = env.str("DATABASE_URL", default="")
if not DATABASE_URL:
    from oms.management.embedded import socket_directory

    DATABASE_URL = (
        f"postgresql://postgres@/oms?host={quote(str(socket_directory(VAR_DIR / 'postgres')))}"
    )

# Milliseconds; each is a layer of its own, so that nothing ever waits without end.
DB_LOCK_TIMEOUT_MS = env.int("DB_LOCK_TIMEOUT_MS", default=2_000)
DB_STATEMENT_TIMEOUT_MS = env.int("DB_STATEMENT_TIMEOUT_MS", default=5_000)
DB_IDLE_IN_TRANSACTION_TIMEOUT_MS = env.int("DB_IDLE_IN_TRANSACTION_TIMEOUT_MS", default=5_000)
# Connections kept by one web process; 0 means no pool, as in workers: a pool must not cross a fork.
DB_POOL_SIZE = env.int("DB_POOL_SIZE", default=0)


def database(url: str) -> dict[str, Any]:
    """Django's settings of the PostgreSQL database at `url`."""
    settings: dict[str, Any] = env.db_url_config(url)
    host = settings.get("OPTIONS", {}).pop("host", None)
    if host:
        settings["HOST"] = host
    settings["ENGINE"] = "django_prometheus.db.backends.postgresql"
    settings["CONN_HEALTH_CHECKS"] = True
    settings["CONN_MAX_AGE"] = 0 if DB_POOL_SIZE else 60
    settings["TEST"] = {"NAME": env.str("TEST_DATABASE_NAME", default="test_oms")}
    settings["OPTIONS"] = {
        **settings.get("OPTIONS", {}),
        "connect_timeout": 2,
        "application_name": env.str("APPLICATION_NAME", default="oms"),
        "server_side_binding": True,
        "prepare_threshold": 5,
        "options": (
            f"-c lock_timeout={DB_LOCK_TIMEOUT_MS}"
            f" -c statement_timeout={DB_STATEMENT_TIMEOUT_MS}"
            f" -c idle_in_transaction_session_timeout={DB_IDLE_IN_TRANSACTION_TIMEOUT_MS}"
        ),
    }
    if DB_POOL_SIZE:
        settings["OPTIONS"]["pool"] = {"min_size": 1, "max_size": DB_POOL_SIZE, "timeout": 2}
    return settings


DATABASES = {"default": database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis or Valkey: broker, cache, limits -----------------------------------------------------
REDIS_URL = env.str("REDIS_URL", default="") or f"redis://127.0.0.1:{VALKEY_PORT}/0"

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "oms",
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    }
}

# --- Celery -------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 60
CELERY_TASK_DEFAULT_QUEUE = "events"
CELERY_TASK_ROUTES = {
    "oms.events.*": {"queue": "events"},
    "orders.*": {"queue": "events"},
    "inventory.*": {"queue": "events"},
    "payments.*": {"queue": "payments"},
    "notifications.*": {"queue": "notifications"},
    "reports.*": {"queue": "reports"},
}
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = env.float("WORKER_SOFT_SHUTDOWN_TIMEOUT", default=20.0)
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 180,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat" / "schedule")

# --- Users --------------------------------------------------------------------------------------
AUTH_USER_MODEL = "users.User"
# Of the back office; the API has tokens.
AUTHENTICATION_BACKENDS = ["oms.users.authentication.BackOfficeBackend"]
# E-mail addresses are unique in whatever case, by a constraint on Lower("email") that Django's
# check does not count.
SILENCED_SYSTEM_CHECKS = ["auth.E003"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")

JWT_SIGNING_KEY = secret("JWT_SIGNING_KEY")
if len(JWT_SIGNING_KEY) < 32:
    raise ImproperlyConfigured("JWT_SIGNING_KEY must have at least 32 characters.")
SIMPLE_JWT = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": JWT_SIGNING_KEY,
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "ISSUER": "oms",
    "AUDIENCE": "oms-api",
    "USER_ID_CLAIM": "sub",
    "AUTH_HEADER_TYPES": ("Bearer",),
    "UPDATE_LAST_LOGIN": False,
    "CHECK_REVOKE_TOKEN": False,
}

# --- The API ------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["oms.users.authentication.AccessTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["oms.http.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["oms.http.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "oms.http.pagination.KeysetPagination",
    "DEFAULT_FILTER_BACKENDS": ["oms.http.filters.StrictFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "oms.http.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "oms.http.problems.exception_handler",
    "DEFAULT_VERSIONING_CLASS": None,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "URL_FORMAT_OVERRIDE": None,
    "COERCE_DECIMAL_TO_STRING": True,
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
    # Enumerations stand where they are used: many fields are called "status".
    "POSTPROCESSING_HOOKS": [],
}
API_BODY_LIMIT = 64 * 1024
API_BULK_BODY_LIMIT = 2 * 1024 * 1024
API_JSON_DEPTH_LIMIT = 32
DATA_UPLOAD_MAX_MEMORY_SIZE = API_BULK_BODY_LIMIT
IDEMPOTENCY_KEY_LIFETIME = timedelta(hours=24)
# Where a key has no effect: see docs/decisions/0006-idempotency-keys.md.
IDEMPOTENCY_EXEMPT = ("/api/v1/auth/", "/api/v1/payments/webhooks/")

# "count/seconds"; see oms/http/rate_limits.py for what each one counts.
RATE_LIMITS = {
    "register_address": env.str("RATE_LIMIT_REGISTER", default="60/minute"),
    "token_address": env.str("RATE_LIMIT_TOKEN", default="60/minute"),
    "token_account": env.str("RATE_LIMIT_TOKEN_ACCOUNT", default="10/minute"),
    "place_user": env.str("RATE_LIMIT_PLACE", default="600/minute"),
    "general_user": env.str("RATE_LIMIT_USER", default="3000/minute"),
    "general_address": env.str("RATE_LIMIT_ANONYMOUS", default="600/minute"),
}
# How many proxies in front of us add to X-Forwarded-For; 0 means that the header is not believed.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)

# --- The shop -----------------------------------------------------------------------------------
SHOP_NAME = env.str("SHOP_NAME", default="Northwind Supply")
SHOP_CURRENCY = env.str("SHOP_CURRENCY", default="EUR")
BUSINESS_TIME_ZONE = ZoneInfo(env.str("BUSINESS_TIME_ZONE", default="Europe/Berlin"))
ORDER_EXPIRY = timedelta(minutes=env.int("ORDER_EXPIRY_MINUTES", default=30))

# --- The back office ------------------------------------------------------------------------------
# What kind of copy this is, written beside its name so that nobody takes one for the other.
ENVIRONMENT_LABEL = env.str("ENVIRONMENT_LABEL", default="Development" if DEBUG else "")
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": SHOP_NAME,
    "SITE_HEADER": SHOP_NAME,
    "SITE_SUBHEADER": _("Back office"),
    "SITE_SYMBOL": "storefront",
    "SITE_URL": None,
    # The event log is the history; Django's own is not written.
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "ENVIRONMENT": "oms.navigation.environment",
    "DASHBOARD_CALLBACK": "oms.dashboard.dashboard",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "oms.navigation.favicon"}],
    "STYLES": ["oms.navigation.stylesheet"],
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "240 253 250",
            "100": "204 251 241",
            "200": "153 246 228",
            "300": "94 234 212",
            "400": "45 212 191",
            "500": "20 184 166",
            "600": "13 118 110",
            "700": "15 98 92",
            "800": "17 94 89",
            "900": "19 78 74",
            "950": "4 47 46",
        }
    },
    "SIDEBAR": {"show_search": True, "navigation": "oms.navigation.sidebar"},
}

# --- Payments -----------------------------------------------------------------------------------
SANDBOX_PROVIDER_URL = (
    env.str("SANDBOX_PROVIDER_URL", default="") or f"http://127.0.0.1:{SANDBOX_PORT}"
)
SANDBOX_API_KEY = secret("SANDBOX_API_KEY")
SANDBOX_WEBHOOK_SECRET = secret("SANDBOX_WEBHOOK_SECRET")
# "automatic" takes the money at once; "manual" authorises at placing and captures when shipped.
PAYMENT_CAPTURE = env.str("PAYMENT_CAPTURE", default="automatic")
if PAYMENT_CAPTURE not in {"automatic", "manual"}:
    raise ImproperlyConfigured("PAYMENT_CAPTURE is 'automatic' or 'manual'.")
GATEWAY_CONNECT_TIMEOUT = 2.0
GATEWAY_READ_TIMEOUT = 8.0

# --- Mail ---------------------------------------------------------------------------------------
EMAIL_URL = env.str("EMAIL_URL", default="")
if EMAIL_URL:
    vars().update(env.email_url_config(EMAIL_URL))
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = str(VAR_DIR / "mail")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="orders@example.com")

# --- Languages and time -------------------------------------------------------------------------
LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# --- Static files -------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
WHITENOISE_USE_FINDERS = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- Security -----------------------------------------------------------------------------------
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
HTTPS = env.bool("HTTPS", default=not DEBUG)
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health", r"^metrics$"]
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
X_FRAME_OPTIONS = "DENY"

# --- Logs ---------------------------------------------------------------------------------------
LOG_FORMAT = env.str("LOG_FORMAT", default="json")
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING_CONFIG = None
logging.config.dictConfig(structlog_configuration(log_format=LOG_FORMAT, level=LOG_LEVEL))

PROMETHEUS_EXPORT_MIGRATIONS = False
