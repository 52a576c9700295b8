"""Leaves out a slow import; called at the start of programs, before jsonschema is imported."""

from __future__ import annotations

import sys


def leave_out() -> None:
    """Have jsonschema check no IRIs, which nothing here has: building their grammar takes 1 to 2 s."""
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # None makes the import fail
