"""What is shown in the place of secrets."""

from __future__ import annotations

from typing import Final

#: What is shown in place of a protected value.
PROTECTED: Final = "•••"
