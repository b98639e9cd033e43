"""External services: database, Redis or Valkey, Celery's broker, mail."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from oms.settings.environment import VALKEY_PORT, VAR_DIR, env, service_url


# --- Database -------------------------------------------------------------------------------------
def _local_postgres() -> str:
    # Production images do not contain the local servers.
    from oms.devserver.sockets import socket_directory

    return f"postgresql://postgres@/oms?host={quote(str(socket_directory(VAR_DIR / 'postgres')))}"


DATABASE_URL = service_url("DATABASE_URL", local=_local_postgres)

# Milliseconds.
DB_LOCK_TIMEOUT_MS = env.int("DB_LOCK_TIMEOUT_MS", default=2_000)
DB_STATEMENT_TIMEOUT_MS = env.int("DB_STATEMENT_TIMEOUT_MS", default=5_000)
DB_IDLE_IN_TRANSACTION_TIMEOUT_MS = env.int("DB_IDLE_IN_TRANSACTION_TIMEOUT_MS", default=5_000)
# Longer than any statement may take: for a server that hangs, or a network that drops packets.
DB_ANSWER_TIMEOUT_MS = env.int("DB_ANSWER_TIMEOUT_MS", default=DB_STATEMENT_TIMEOUT_MS + 1_000)
# Threads of one web process that run Django, each with a connection of its own; the fast path has
# four more.
WEB_THREADS = env.int("WEB_THREADS", default=4)


def database(url: str) -> dict[str, Any]:
    """Django's settings of the PostgreSQL database at `url`."""
    settings: dict[str, Any] = env.db_url_config(url)
    host = settings.get("OPTIONS", {}).pop("host", None)
    if host:
        settings["HOST"] = host
    settings["ENGINE"] = "oms.db.postgresql"
    settings["CONN_HEALTH_CHECKS"] = True
    settings["CONN_MAX_AGE"] = 600
    settings["TEST"] = {"NAME": env.str("TEST_DATABASE_NAME", default="test_oms")}
    settings["OPTIONS"] = {
        **settings.get("OPTIONS", {}),
        "connect_timeout": 2,
        # A peer that has vanished is noticed after 10 seconds, idle or not.
        "keepalives": 1,
        "keepalives_idle": 4,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        "application_name": env.str("APPLICATION_NAME", default="oms"),
        "server_side_binding": True,
        "options": (
            f"-c lock_timeout={DB_LOCK_TIMEOUT_MS}"
            f" -c statement_timeout={DB_STATEMENT_TIMEOUT_MS}"
            f" -c idle_in_transaction_session_timeout={DB_IDLE_IN_TRANSACTION_TIMEOUT_MS}"
        ),
    }
    return settings


DATABASES = {"default": database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis or Valkey: broker, cache, limits -------------------------------------------------------
REDIS_URL = service_url("REDIS_URL", local=lambda: f"redis://127.0.0.1:{VALKEY_PORT}/0")

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "oms",
        "OPTIONS": {"pool_class": "oms.core.redis.GuardedPool"},
    }
}

# --- Celery ---------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
# Seconds; shorter than the half minute that a worker has to end.
CELERY_TASK_TIME_LIMIT = 28
CELERY_TASK_DEFAULT_QUEUE = "events"
CELERY_TASK_ROUTES = {
    "payments.*": {"queue": "payments"},
    "notifications.*": {"queue": "notifications"},
    "reports.*": {"queue": "reports"},
    # It takes half a minute, and must not delay events.
    "oms.purge": {"queue": "reports"},
}
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# By default a worker kills a new child that has not reported for 4 seconds: on a busy machine every
# one, for ever. The lower priority of workers makes that likely.
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 60.0
# Not Celery's setting, which has no effect at SIGTERM: see oms.background.
WORKER_SOFT_SHUTDOWN_TIMEOUT = env.float("WORKER_SOFT_SHUTDOWN_TIMEOUT", default=20.0)
CELERY_WORKER_CONSUMER = "oms.background:Consumer"
CELERY_BEAT_SCHEDULER = "oms.background:Scheduler"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A broker that refuses a command, such as a replica after a failover, is like one that is away.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 180,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
CELERY_TIMEZONE = "UTC"

# --- Mail -----------------------------------------------------------------------------------------
EMAIL_URL = env.str("EMAIL_URL", default="")
if EMAIL_URL:
    vars().update(env.email_url_config(EMAIL_URL))
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = str(VAR_DIR / "mail")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="orders@example.com")
