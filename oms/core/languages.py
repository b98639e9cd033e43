"""Language tags of customers and orders (BCP 47), such as "de" or "pt-BR"."""

from __future__ import annotations

# RFC 5646, section 4.4.1: at least this long a buffer holds every tag without extensions.
MAX_LANGUAGE_LENGTH = 35
# The shape of all tags (RFC 5646, section 2.1): subtags of up to eight letters and digits.
LANGUAGE_TAG = r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*"
