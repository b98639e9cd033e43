"""Installed apps, middleware, templates, static files, logs and metrics."""

from __future__ import annotations

import logging.config
import os
import socket
from pathlib import Path

import django_stubs_ext
from jinja2 import StrictUndefined, select_autoescape

from oms.core.logging import structlog_configuration
from oms.settings.environment import BASE_DIR, DEBUG, PORT, VAR_DIR, env

# Allows type arguments on Django's classes, such as models.Field[Any, Any].
django_stubs_ext.monkeypatch()

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
    "csp",
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
    "oms.exceptions",
    "oms.management.apps.ManagementConfig",
    "inventory",
    "payments",
    "orders",
    "notifications",
    "reports",
    "oms.streams",
]

MIDDLEWARE = [
    "oms.http.middleware.RequestContextMiddleware",
    # Outside of what replaces answers by problems, which have policies too.
    "oms.http.middleware.ContentSecurityPolicyMiddleware",
    "oms.http.middleware.ProblemMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "oms.streams.back_office.LogPositionMiddleware",
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
