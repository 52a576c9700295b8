"""The reply to each error. `cloudo_kernel.errors.http_status` has their HTTP status."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, Field
from tornado.web import HTTPError

from cloudo_kernel import errors
from cloudo_kernel.models import FieldError

#: Characters kept from the start and the end of a long message.
_ENDS: Final = (1200, 600)
_ENDS_OF_ONE: Final = (300, 200)
_FIELD_CHARACTERS: Final = 200

#: Code and message of requests refused before a verb is called, by HTTP status.
_REFUSALS: dict[int, tuple[str, str]] = {
    400: ("malformed", "The request cannot be read."),
    403: (
        "permission_denied",
        "Log in, or send the server's token as `Authorization: token …`; "
        "a request that changes something and has only a cookie also needs the header X-XSRFToken.",
    ),
    404: ("not_found", "There is no such address. `cloudo/explorer` lists the addresses of REST."),
    405: ("method_not_allowed", "This address does not support this method."),
    413: ("too_large", "The body is larger than the server accepts (c.Cloudo.max_body_bytes)."),
    415: ("unsupported_media_type", "The body must be JSON, sent with `Content-Type: application/json`."),
    499: ("client_closed_request", "The client closed the connection while it was waiting."),
}


class ErrorBody(BaseModel):
    """An error, as callers see it."""

    code: str
    message: str
    field: str | None = Field(
        default=None,
        description="Name of the invalid input, parameter or setting; the first if there are several.",
    )
    errors: tuple[FieldError, ...] | None = Field(
        default=None,
        max_length=errors.MAX_ERRORS,
        description="Every single error, for errors that name a field.",
    )


class ErrorReply(BaseModel):
    """The body of every error reply."""

    error: ErrorBody


def reply_to(error: BaseException | None, status: int, *, log_id: str | None) -> ErrorReply:
    """Return the reply to `error`; `log_id` names an unexpected one in the server's log."""
    if isinstance(error, errors.CloudoError):
        single, field = _field_errors(error), error.field and error.field[:_FIELD_CHARACTERS]
        body = ErrorBody(code=error.code, message=_bounded(str(error)), field=field, errors=single or None)
    elif status in _REFUSALS:
        code, message = _REFUSALS[status]
        reason = error.log_message if isinstance(error, HTTPError) else None
        body = ErrorBody(code=code, message=_bounded(reason or message))
    elif log_id is not None:
        message = f"Internal error. Search the server's log for {log_id}."
        body = ErrorBody(code="internal", message=message)
    else:
        body = ErrorBody(code="error", message=f"The server replied with status {status}.")
    return ErrorReply(error=body)


def _field_errors(error: errors.CloudoError) -> tuple[FieldError, ...]:
    """Return the field errors, up to about the length of a message."""
    found: list[FieldError] = []
    left = sum(_ENDS)
    for one in error.errors:
        field = one["field"] and one["field"][:_FIELD_CHARACTERS]
        found.append(FieldError(field=field, message=_bounded(one["message"], _ENDS_OF_ONE)))
        left -= len(found[-1].message) + len(field or "")
        if left < 0:
            break
    return tuple(found)


def _bounded(message: str, ends: tuple[int, int] = _ENDS) -> str:
    """Return a message without its middle if it is too long, because it quotes what callers sent."""
    return message if len(message) <= sum(ends) else f"{message[: ends[0]]} … {message[-ends[1] :]}"
