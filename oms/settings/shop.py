"""The shop: name, currency, time zone, payments, back office."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.utils.translation import gettext_lazy as _

from oms.core.currencies import CURRENCIES
from oms.settings.environment import DEBUG, SANDBOX_PORT, env, secret

SHOP_NAME = env.str("SHOP_NAME", default="Northwind Supply")
SHOP_CURRENCY = env.str("SHOP_CURRENCY", default="EUR")
if SHOP_CURRENCY not in CURRENCIES:
    raise ImproperlyConfigured("SHOP_CURRENCY is an ISO 4217 code in capitals, such as EUR.")
BUSINESS_TIME_ZONE = ZoneInfo(env.str("BUSINESS_TIME_ZONE", default="Europe/Berlin"))
ORDER_EXPIRY = timedelta(minutes=env.int("ORDER_EXPIRY_MINUTES", default=30))

# --- Payments -------------------------------------------------------------------------------------
SANDBOX_PROVIDER_URL = (
    env.str("SANDBOX_PROVIDER_URL", default="") or f"http://127.0.0.1:{SANDBOX_PORT}"
)
SANDBOX_API_KEY = secret("SANDBOX_API_KEY")
SANDBOX_WEBHOOK_SECRET = secret("SANDBOX_WEBHOOK_SECRET")
# "automatic" captures at once; "manual" authorizes when placed and captures when shipped.
PAYMENT_CAPTURE = env.str("PAYMENT_CAPTURE", default="automatic")
if PAYMENT_CAPTURE not in {"automatic", "manual"}:
    raise ImproperlyConfigured("PAYMENT_CAPTURE is 'automatic' or 'manual'.")
GATEWAY_CONNECT_TIMEOUT = 2.0
GATEWAY_READ_TIMEOUT = 8.0

# --- The back office ------------------------------------------------------------------------------
# Shown in the back office, so that environments are not confused.
ENVIRONMENT_LABEL = env.str("ENVIRONMENT_LABEL", default="Development" if DEBUG else "")
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": SHOP_NAME,
    "SITE_HEADER": SHOP_NAME,
    "SITE_SUBHEADER": _("Back office"),
    "SITE_SYMBOL": "storefront",
    "SITE_URL": None,
    # The event log is the history; Django's is not recorded.
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "ENVIRONMENT": "oms.navigation.environment",
    "DASHBOARD_CALLBACK": "oms.dashboard.dashboard",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("backoffice/favicon.svg"),
        }
    ],
    "STYLES": [lambda request: static("backoffice/backoffice.css")],
    "SCRIPTS": [lambda request: static("streams/back_office.js")],
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
