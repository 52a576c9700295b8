"""How the call of a webhook proves where it comes from: by a key that it shows, or by a signature over its body.

Calls of ours are signed here, too.

Pure; every comparison takes the same time whatever is compared.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from cloudo_kernel.errors import SignatureInvalid
from cloudo_kernel.models import SignatureScheme, Webhook
from cloudo_kernel.models.webhooks import SECRET_PREFIX, secret_bytes

#: How far the time of a signature may be from ours.
TOLERANCE = timedelta(minutes=5)
_LONGEST_ID = 255
_KEY_BYTES = 32
#: What can be guessed proves nothing; Standard Webhooks wants 24 bytes, and has 16 in its own examples.
_SHORTEST_SECRET = 16

#: One of several parts of a signature's header: `v1=5257a8…`, `sha256=…`, or the signature alone.
_PART = re.compile(r"(?:(?P<name>[A-Za-z0-9_]{1,10})=)?(?P<value>[A-Za-z0-9+/=_-]+)")


def new_key(signature: str | None) -> str:
    """Make up a key, in the form that its signature wants; None is for a key that callers show."""
    if signature == SignatureScheme.STANDARD_WEBHOOKS:
        return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    return secrets.token_urlsafe(_KEY_BYTES)


def digest(key: str) -> str:
    """Return what is kept of a key that callers show."""
    salt = secrets.token_bytes(16)
    return f"sha256${salt.hex()}${hashlib.sha256(salt + key.encode()).hexdigest()}"


#: Of a key that nobody has: an unknown webhook does the same work as one whose key was not shown.
NOBODY = digest(secrets.token_urlsafe())


def is_key(shown: str, kept: str) -> bool:
    """Tell whether a key is the one that `digest` was made of."""
    _, salt, wanted = kept.split("$")
    found = hashlib.sha256(bytes.fromhex(salt) + shown.encode(errors="replace")).hexdigest()
    return hmac.compare_digest(found, wanted)


def check_signature(webhook: Webhook, key: str, headers: Mapping[str, str], body: bytes, *, now: datetime) -> None:
    """Raise `SignatureInvalid` unless the call is signed with the webhook's key, and not long ago."""
    assert webhook.signature is not None
    content, stamp, given = _signed(webhook, headers, body)
    if stamp is not None:
        _check_age(stamp, now)
    secret = secret_bytes(key, webhook.signature)
    wanted = hmac.digest(secret, content, "sha256")
    # No early end: how many there are is the sender's business, which of them fits is not.
    if not sum(hmac.compare_digest(one, wanted) for one in given):
        raise SignatureInvalid("The signature does not fit this call and the secret of this webhook.")


def sign(key: str, message_id: str, body: bytes, *, now: datetime) -> dict[str, str]:
    """Return the headers that sign a call of ours as Standard Webhooks has it. Raises `ValueError` for no such key."""
    stamp = str(int(now.timestamp()))
    secret = secret_bytes(key, SignatureScheme.STANDARD_WEBHOOKS)
    if len(secret) < _SHORTEST_SECRET:
        raise ValueError(f"takes a secret of at least {_SHORTEST_SECRET} bytes")
    signature = hmac.digest(secret, f"{message_id}.{stamp}.".encode() + body, "sha256")
    return {"webhook-timestamp": stamp, "webhook-signature": f"v1,{base64.b64encode(signature).decode()}"}


def delivery_id(webhook: Webhook, headers: Mapping[str, str]) -> str | None:
    """Return what the sender of a signed call calls this delivery, None if it does not say."""
    if webhook.signature is SignatureScheme.STANDARD_WEBHOOKS:
        return _header(headers, "webhook-id")
    found = headers.get("X-GitHub-Delivery") if webhook.signature is SignatureScheme.GITHUB else None
    return found if found and len(found) <= _LONGEST_ID else None


def _signed(webhook: Webhook, headers: Mapping[str, str], body: bytes) -> tuple[bytes, str | None, list[bytes]]:
    """Return what was signed, when, and the signatures that were given."""
    if webhook.signature is SignatureScheme.STANDARD_WEBHOOKS:
        stamp = _header(headers, "webhook-timestamp")
        content = f"{_header(headers, 'webhook-id')}.{stamp}.".encode() + body
        parts = [one.partition(",") for one in _header(headers, "webhook-signature").split()]
        return content, stamp, [_bytes(value) for version, _, value in parts if version == "v1"]
    if webhook.signature is SignatureScheme.GITHUB:
        value = _header(headers, "X-Hub-Signature-256")
        return body, None, [_bytes(value.removeprefix("sha256="))] if value.startswith("sha256=") else []
    return _signed_as_configured(webhook, headers, body)


def _signed_as_configured(
    webhook: Webhook, headers: Mapping[str, str], body: bytes
) -> tuple[bytes, str | None, list[bytes]]:
    found = [_PART.fullmatch(part.strip()) for part in _header(headers, webhook.signature_header or "").split(",")]
    parts = [(part["name"], part["value"]) for part in found if part]
    stamp = None
    if "{timestamp}" in webhook.signed_content:
        if webhook.timestamp_header is not None:
            stamp = _header(headers, webhook.timestamp_header)
        else:
            stamp = next((value for name, value in parts if name == "t"), "")
    before, after = webhook.signed_content.replace("{timestamp}", stamp or "").split("{body}")
    return before.encode() + body + after.encode(), stamp, [_bytes(value) for name, value in parts if name != "t"]


def _header(headers: Mapping[str, str], name: str) -> str:
    found = headers.get(name, "")
    if not 0 < len(found) <= 4 * _LONGEST_ID or not found.isascii():
        raise SignatureInvalid(f"A call of this webhook has to be signed: the header {name} is missing.")
    return found


def _check_age(stamp: str, now: datetime) -> None:
    if not (stamp.isdecimal() and len(stamp) <= 12):
        raise SignatureInvalid("The time of the signature takes seconds since 1970.")
    if abs(now.timestamp() - int(stamp)) > TOLERANCE.total_seconds():
        raise SignatureInvalid("The signature is of another time: more than 5 minutes from now.")


def _bytes(value: str) -> bytes:
    """Return a signature in hexadecimal or Base64; what is neither fits nothing."""
    try:
        return bytes.fromhex(value) if len(value) == 2 * hashlib.sha256().digest_size else base64.b64decode(value)
    except (ValueError, binascii.Error):
        return b""
