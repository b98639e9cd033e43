"""Installed apps, middleware, templates, static files, security, logs and metrics."""

from __future__ import annotations

import logging.config
import os
import socket
from pathlib import Path

import django_stubs_ext
from jinja2 import StrictUndefined, select_autoescape

from oms.core.logging import structlog_configuration
from oms.settings.environment import (
    BASE_DIR,
    DEBUG,
    PORT,
    VAR_DIR,
    check_signing_keys,
    env,
    secret,
)

# Allows type arguments on Django's classes, such as models.Field[Any, Any].
django_stubs_ext.monkeypatch()

SECRET_KEY = secret("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
check_signing_keys("SECRET_KEY", [SECRET_KEY, *SECRET_KEY_FALLBACKS])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["*"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://127.0.0.1:{PORT}")

INSTALLED_APPS = [
    # Replaces unfold's and Django's default configurations with our own admin site.
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "oms.backoffice.apps.BackOfficeConfig",
    "oms.backoffice.apps.AdminConfig",
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
    "django_ratelimit",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "oms.core",
    "oms.events",
    "oms.http",
    "oms.api",
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
    # Before all that can refuse a request, so that every response carries the limits.
    "oms.http.middleware.RateLimitMiddleware",
    "oms.http.middleware.BodyLimitMiddleware",
    "oms.http.middleware.DeadlineMiddleware",
    "oms.http.middleware.IdempotencyMiddleware",
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
    # E-mails; Django's own engine takes four times as long (docs/decisions/0018-mail.md).
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "autoescape": select_autoescape(["html"], default=False),
            "undefined": StrictUndefined,
            "keep_trailing_newline": True,
        },
    },
]

# --- Languages and time ---------------------------------------------------------------------------
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = "oms.backoffice.formats"
TIME_ZONE = "UTC"

# --- Static files ---------------------------------------------------------------------------------
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

# --- Security -------------------------------------------------------------------------------------
# How many proxies in front of us add to X-Forwarded-For; with 0 the header is ignored.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
HTTPS = env.bool("HTTPS", default=not DEBUG)
SECURE_SSL_REDIRECT = HTTPS
# Webhooks are signed, and a local provider may bypass the proxy that terminates TLS.
SECURE_REDIRECT_EXEMPT = [r"^health", r"^metrics$", r"^api/v1/payments/webhooks/"]
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
# Both bind other hosts of the domain too, and are hard to undo.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", default=False)
X_FRAME_OPTIONS = "DENY"

SILENCED_SYSTEM_CHECKS = [
    # E-mail addresses are unique regardless of case by a constraint on Lower("email"), which the
    # check does not recognize.
    "auth.W004",
    # Subdomains and preloading are the operator's decision, see above.
    "security.W005",
    "security.W021",
    # django-ratelimit has a list of caches with an atomic increment; Django's own for Redis, which
    # came later than the list, has one too.
    "django_ratelimit.W001",
]

# --- Logs -----------------------------------------------------------------------------------------
LOG_FORMAT = env.str("LOG_FORMAT", default="json")
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING_CONFIG = None
logging.config.dictConfig(structlog_configuration(log_format=LOG_FORMAT, level=LOG_LEVEL))


# --- Metrics --------------------------------------------------------------------------------------
# Who may read /metrics: with a token its bearers, without one this machine alone.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
# Holds a folder for each host name, because files are named by process ids, which containers that
# share it have in common.
METRICS_DIR = Path(env.str("METRICS_DIR", default="") or VAR_DIR / "metrics")
# Read by prometheus_client when it is first imported, which is after the settings.
_multiprocess_folder = METRICS_DIR / socket.gethostname()
_multiprocess_folder.mkdir(parents=True, exist_ok=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_multiprocess_folder)
# It would be a gauge of each process, from a query at each start.
PROMETHEUS_EXPORT_MIGRATIONS = False
