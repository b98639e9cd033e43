"""HTTPS, cookies, sessions of the back office, and what browsers may do with our pages."""

from __future__ import annotations

from csp.constants import NONCE
from django.core.exceptions import ImproperlyConfigured

from oms.settings.environment import DEBUG, check_signing_keys, env, secret

SECRET_KEY = secret("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
check_signing_keys("SECRET_KEY", [SECRET_KEY, *SECRET_KEY_FALLBACKS])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["*"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# --- HTTPS ----------------------------------------------------------------------------------------
# How many proxies in front of us add to X-Forwarded-For; with 0 the header is ignored.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
HTTPS = env.bool("HTTPS", default=not DEBUG)
SECURE_SSL_REDIRECT = HTTPS
# Webhooks are signed, and a local provider may bypass the proxy that terminates TLS.
SECURE_REDIRECT_EXEMPT = [r"^health", r"^metrics$", r"^api/v1/payments/webhooks/"]
# Browsers remember it, so it cannot be taken back: only on request.
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", default=False)

# --- Cookies; the API uses none -------------------------------------------------------------------
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
# Pages carry the token in their forms.
CSRF_COOKIE_HTTPONLY = True
# Browsers accept a cookie with this prefix only from the very host, for all of its paths, by HTTPS.
_PREFIX = "__Host-" if HTTPS else ""
SESSION_COOKIE_NAME = f"{_PREFIX}session"
CSRF_COOKIE_NAME = f"{_PREFIX}csrf"
# The default also uses a cookie of its own.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# --- Sessions of the back office ------------------------------------------------------------------
SESSION_ENGINE = "oms.users.back_office_sessions"
# In seconds: how long a session lasts without requests, and at most.
SESSION_COOKIE_AGE = env.int("SESSION_IDLE_MINUTES", default=60) * 60
SESSION_LIFETIME = env.int("SESSION_LIFETIME_HOURS", default=12) * 3600
if SESSION_COOKIE_AGE <= 0 or SESSION_LIFETIME <= 0:
    raise ImproperlyConfigured("SESSION_IDLE_MINUTES and SESSION_LIFETIME_HOURS must be positive.")

# --- Pages ----------------------------------------------------------------------------------------
X_FRAME_OPTIONS = "DENY"
# Of all pages but those of the API's documentation, which have their own (oms/http/urls.py).
# Answers of the API are no pages, and allow nothing (oms/http/middleware/security_policy.py).
# See docs/decisions/0021-content-security-policy.md.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'", NONCE],
        "style-src-attr": ["'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

SILENCED_SYSTEM_CHECKS = [
    # E-mail addresses are unique regardless of case by a constraint on Lower("email"), which the
    # check does not recognize.
    "auth.W004",
    # HSTS, its subdomains and preloading are the operator's decision, see above.
    "security.W004",
    "security.W005",
    "security.W021",
    # django-ratelimit has a list of caches with an atomic increment; Django's own for Redis, which
    # came later than the list, has one too.
    "django_ratelimit.W001",
]
