"""Messages as the page shows them."""

from __future__ import annotations

from typing import Any

from cloudo_kernel.dashboard.rows import NAME, cut, value_rows
from cloudo_kernel.models import JsonObject, Message

_OF_ROW = {"id", "level", "state", "execution_id", "created_at", "expires_at", "answered_by", "answered_at"}


def message_row(message: Message) -> JsonObject:
    """Return what a list shows of a message; its form comes with `message_whole` when it is opened."""
    return message.model_dump(mode="json", include=_OF_ROW) | {"subject": cut(message.subject, NAME)}


def message_whole(message: Message, *, asked_by: str | None) -> JsonObject:
    """Return what is needed to answer a message, or to read what was answered."""
    return message_row(message) | {
        "body": message.body,
        "asked_by": asked_by,
        "answers": _answers(message),
    }


def _answers(message: Message) -> list[JsonObject]:
    """Return the answer in the order of the form, by the labels of its elements; the button that was pressed too."""
    if message.response is None:
        return []
    elements: dict[str, Any] = dict((message.body or {}).get("properties", {}))
    keys = sorted(message.response, key=lambda key: elements.get(key, {}).get("order", len(elements)))
    shown = {}
    for key in keys:
        about = elements.get(key, {})
        value = message.response[key]
        if about.get("element") == "submit" and value is not True:
            continue  # the buttons that were not pressed
        label = str(about.get("label") or key)
        shown[f"{label} ({key})" if label in shown else label] = _readable(value, about)
    return value_rows(shown)


def _readable(value: Any, about: JsonObject) -> Any:
    if about.get("element") == "submit":
        return "pressed"
    if about.get("element") == "toggle":
        return "yes" if value else "no"
    if about.get("element") == "file" and isinstance(value, dict):
        return f"{value.get('name', 'a file')} ({len(str(value.get('content', ''))) * 3 // 4} bytes)"
    return "–" if value is None else value
