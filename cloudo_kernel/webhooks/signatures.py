"""Authenticates calls of webhooks, by a key or by a signature over the body, and signs outgoing calls.

Pure. All comparisons take constant time.
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
from typing import TYPE_CHECKING

from cloudo_kernel.errors import SignatureInvalid
from cloudo_kernel.models import SignatureScheme, Webhook
from cloudo_kernel.models.senders import Sender, header_of, sender_of
from cloudo_kernel.models.webhooks import SECRET_PREFIX, secret_bytes

if TYPE_CHECKING:
    from cloudo_kernel.webhooks.request import DeliveryRequest

#: Maximum difference between the time of a signature and the current time.
TOLERANCE = timedelta(minutes=5)
_MAX_HEADER = 1020
_KEY_BYTES = 32
#: Minimum secret length in bytes, against guessing. Standard Webhooks wants 24, and has 16 in its own examples.
_MIN_SECRET = 16

_PLACE = re.compile(r"\{(\w+)\}")
#: Parts of a signature's header that hold its time.
_TIMES = frozenset({"t", "ts"})
#: A time with this many digits is in milliseconds.
_MILLISECOND_DIGITS = 13


def new_key(signature: str | None) -> str:
    """Return a new random key in the format of the signature. None is for a key that callers send."""
    if signature == SignatureScheme.STANDARD_WEBHOOKS:
        return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    return secrets.token_urlsafe(_KEY_BYTES)


def digest(key: str) -> str:
    """Return the salted digest to store of a key that callers send."""
    salt = secrets.token_bytes(16)
    return f"sha256${salt.hex()}${hashlib.sha256(salt + key.encode()).hexdigest()}"


#: Digest of a random key, compared for an unknown webhook so that it takes the same work as a wrong key.
NOBODY = digest(secrets.token_urlsafe())


def is_key(given: str, kept: str) -> bool:
    """Tell whether a key is the one whose `digest` was stored."""
    _, salt, wanted = kept.split("$")
    found = hashlib.sha256(bytes.fromhex(salt) + given.encode(errors="replace")).hexdigest()
    return hmac.compare_digest(found, wanted)


def check_signature(webhook: Webhook, key: str, call: DeliveryRequest, *, now: datetime) -> None:
    """Raise `SignatureInvalid` unless the webhook's key signed the call, recently if the signature has a time."""
    assert webhook.signature is not None
    sender = _sender(webhook, key)
    given = _header(call.headers, sender.header)
    if sender.is_plain:
        if not hmac.compare_digest(given.encode(), key.encode()):
            raise SignatureInvalid(f"The header {sender.header} does not hold the secret of this webhook.")
        return
    parts = _parts(given, sender)
    content, stamp = _signed(webhook, sender, call, parts)
    if stamp is not None:
        _check_age(stamp, now)
    wanted = hmac.digest(secret_bytes(key, webhook.signature), content, "sha256")
    # Compare them all: an early end would reveal which signature matches.
    fits = [hmac.compare_digest(_bytes(value), wanted) for name, value in parts if _is_signature(name, sender)]
    if not any(fits):
        raise SignatureInvalid("The signature does not match this call and the secret of this webhook.")


def sign(key: str, message_id: str, body: bytes, *, now: datetime) -> dict[str, str]:
    """Return the Standard Webhooks headers that sign an outgoing call. Raises `ValueError` for an invalid key."""
    stamp = str(int(now.timestamp()))
    secret = secret_bytes(key, SignatureScheme.STANDARD_WEBHOOKS)
    if len(secret) < _MIN_SECRET:
        raise ValueError(f"needs a secret of at least {_MIN_SECRET} bytes")
    signature = hmac.digest(secret, f"{message_id}.{stamp}.".encode() + body, "sha256")
    return {"webhook-timestamp": stamp, "webhook-signature": f"v1,{base64.b64encode(signature).decode()}"}


def _sender(webhook: Webhook, key: str) -> Sender:
    """Return the preset of a webhook, or for `hmac-sha256` one built from its own fields."""
    assert webhook.signature is not None
    if webhook.signature is not SignatureScheme.HMAC_SHA256:
        return sender_of(webhook.signature, key)
    return Sender(webhook.signature_header or "", webhook.signed_content, timestamp=webhook.timestamp_header)


def _parts(value: str, sender: Sender) -> list[tuple[str | None, str]]:
    """Return the parts of a signature's header, each with its name if it has one."""
    pattern = re.compile(rf"(?:([A-Za-z0-9_]{{1,10}}){sender.assign})?([A-Za-z0-9+/=_-]+)")
    found = [pattern.fullmatch(part.strip()) for part in value.split(sender.separator)]
    return [(part[1], part[2]) for part in found if part]


def _is_signature(name: str | None, sender: Sender) -> bool:
    return name == sender.part if sender.part else name not in _TIMES


def _signed(
    webhook: Webhook, sender: Sender, call: DeliveryRequest, parts: list[tuple[str | None, str]]
) -> tuple[bytes, str | None]:
    """Return the signed content, and the timestamp if it is part of it."""
    values = {"method": call.method, "url": webhook.public_url or call.url}
    if "{timestamp}" in sender.content:
        if sender.timestamp is not None:
            values["timestamp"] = _header(call.headers, sender.timestamp)
        else:
            values["timestamp"] = next((value for name, value in parts if name in _TIMES), "")
    if "{id}" in sender.content:
        values["id"] = _header(call.headers, "webhook-id")
    before, after = (_PLACE.sub(lambda place: values[place[1]], text) for text in sender.content.split("{body}"))
    return before.encode() + call.body + after.encode(), values.get("timestamp")


def _header(headers: Mapping[str, str], name: str) -> str:
    found = header_of(headers, name) or ""
    if not 0 < len(found) <= _MAX_HEADER or not found.isascii():
        raise SignatureInvalid(f"A call of this webhook must be signed: the header {name} is missing.")
    return found


def _check_age(stamp: str, now: datetime) -> None:
    if not (stamp.isdecimal() and len(stamp) <= _MILLISECOND_DIGITS):
        raise SignatureInvalid("The time of the signature must be in seconds since 1970.")
    seconds = int(stamp) / 1000 if len(stamp) == _MILLISECOND_DIGITS else int(stamp)
    if abs(now.timestamp() - seconds) > TOLERANCE.total_seconds():
        raise SignatureInvalid("The time of the signature differs by more than 5 minutes from now.")


def _bytes(value: str) -> bytes:
    """Decode a signature from hexadecimal or Base64. Anything else becomes empty bytes, which match nothing."""
    try:
        return bytes.fromhex(value) if len(value) == 2 * hashlib.sha256().digest_size else base64.b64decode(value)
    except (ValueError, binascii.Error):
        return b""
