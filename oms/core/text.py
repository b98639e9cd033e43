"""Text that people enter."""

from __future__ import annotations

import unicodedata


def has_control_characters(text: str, *, allowed: str = "") -> bool:
    """Whether `text` has control characters or lone surrogates that are not `allowed`."""
    return any(
        unicodedata.category(character) in ("Cc", "Cs") and character not in allowed
        for character in text
    )
