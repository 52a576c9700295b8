"""Scripts: source that comes with a request, plain or encoded."""

from __future__ import annotations

import base64
import binascii

from cloudo_kernel.errors import MalformedRequest


def script_text(script: str, encoding: str | None) -> str:
    """Return the text of a script; undeclared, what parses as Python or JSON is plain."""
    if encoding == "plain" or (encoding is None and _parses(script)):
        return script
    try:
        return base64.b64decode(script, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        if encoding is None:
            return script  # plain after all: its own error shows when it runs
        raise MalformedRequest("script is not UTF-8 text in base64.", field="script") from error


def _parses(script: str) -> bool:
    try:
        compile(script, "script", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return script.lstrip().startswith("{")
    return True
