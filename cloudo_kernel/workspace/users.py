"""The user name where no server provides one: that of the operating system."""

from __future__ import annotations

import getpass
import os


def default_user_name() -> str:
    """Return the login name of the operating system's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return f"user-{os.getuid()}"
