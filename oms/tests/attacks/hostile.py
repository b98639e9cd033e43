"""Texts that would show, by a marker, where they are run instead of shown. They harm nothing."""

from __future__ import annotations

HOSTILE = (
    "=1+1\u202e</script><script>window.marked=1</script><img src=x onerror=window.marked=1>"
    "'\"${7*7}{{7*7}}{% now 'Y' %}"
)
"""A formula, a change of direction, markup, and syntaxes of templates; fits every name."""
