"""Scripts: source that comes with a request, plain or encoded."""

from __future__ import annotations

import base64
import binascii
import re

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.security import bounds

#: The characters of base64.
_BASE64 = re.compile(r"[A-Za-z0-9+/=]*")


def script_text(script: str, encoding: str | None) -> str:
    """Return the text of a script. Raises `MalformedRequest`.

    Without `encoding`, the script is plain if it parses as Python or JSON, or cannot be decoded.
    """
    if encoding == "plain" or (encoding is None and _parses(script)):
        return script
    try:
        return base64.b64decode(script, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        if encoding is None:
            return script  # plain after all: the run shows its error
        raise MalformedRequest("script is not UTF-8 text in base64.", field="script") from error


def _parses(script: str) -> bool:
    if not _BASE64.fullmatch(script):
        return True  # plain, whether it parses or not
    try:
        bounds.check_python(script)
        compile(script, "script", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # such as 1+1+1+1…, which may also be base64
        return False
    return True
