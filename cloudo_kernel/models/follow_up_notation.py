"""Follow-ups as people write them, and as they are shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cloudo_kernel.models import FollowingFlow, OutgoingCall

FollowUp = FollowingFlow | OutgoingCall


def read(lines: Sequence[str]) -> Any:
    """Return the follow-ups that were written, one per line, as requests take them; None, for the flow's own, if empty.

    A line is the name of a flow, an address, or JSON: an object, a list of them (`[]`: nothing), or null.
    Raises `ValueError` for a line that looks like JSON and is invalid.
    """
    found: list[Any] = []
    given = [line.strip() for line in lines if line.strip()]
    for line in given:
        if line == "null" and len(given) == 1:
            return None
        if line.startswith(("{", "[")):
            try:
                said = json.loads(line)
            except ValueError as error:
                raise ValueError(f"{line[:60]!r} is no JSON: {error}") from error
            found += said if isinstance(said, list) else [said]
        else:
            found.append({"url": line} if line.startswith(("http://", "https://")) else line)
    return found if given else None


def read_text(text: str) -> Any:
    """Return what was written in one field, as `read` does; JSON may go over several lines."""
    try:
        json.loads(text)
    except ValueError:
        return read(text.splitlines())
    return read([text])


def written(follow_ups: Sequence[FollowUp] | None) -> str:
    """Return it as `read` takes it, one to a line."""
    if follow_ups is None:
        return ""
    return "\n".join(map(_line, follow_ups)) or "[]"


def _line(one: FollowUp) -> str:
    plain = one.model_dump(mode="json", exclude_defaults=True)
    if len(plain) > 1 or next(iter(plain.values())).startswith(("{", "[")):
        return json.dumps(plain, ensure_ascii=False)
    return str(next(iter(plain.values())))


def spoken(follow_ups: Sequence[FollowUp]) -> str:
    """Return the follow-ups in words: `starts Notify by email, calls https://example.com/hook`."""
    return ", ".join(map(_said, follow_ups)) or "nothing"


def _said(one: FollowUp) -> str:
    if isinstance(one, OutgoingCall):
        return f"calls {one.url}" + (f", signed with {one.secret}" if one.secret else "")
    inputs = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in one.inputs.items())
    return f"starts {one.flow}" + (f" with {inputs}" if inputs else "")
