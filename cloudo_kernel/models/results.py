"""Results: what a flow shows with `this.show`, as MIME bundles, and their limits."""

from __future__ import annotations

import base64
import json
from typing import Final

from pydantic import Field

from cloudo_kernel.errors import MalformedRequest, TooLarge
from cloudo_kernel.models.base import JsonObject, Record, UtcTime

#: Limits of the results of one execution. The size is that of the bundle as JSON. 2 MiB of small numbers are 700,000
#: values, which took the worker 400 ms.
MAX_RESULTS: Final = 20
MAX_RESULT_BYTES: Final = 2 * 1024 * 1024
MAX_RESULT_VALUES: Final = 100_000
MAX_RESULT_NAME: Final = 100
#: Binary images, which are base64 in a bundle. SVG is text.
IMAGE_TYPES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
#: Lists show no larger images: a browser loads several at once.
MAX_THUMBNAIL_BYTES: Final = 500_000
#: The name of the last figure of the executed notebook, which an execution offers that shows no result.
LAST_FIGURE: Final = "figure"


class ResultSummary(Record):
    """A result without its content."""

    name: str
    types: tuple[str, ...] = Field(description="The MIME types of the bundle.")
    size: int = Field(description="Size of the bundle as JSON, in bytes.")
    created_at: UtcTime = Field(description="When the flow showed it; a replaced result has the last time.")
    is_from_notebook: bool = Field(
        default=False,
        description="Whether it is the last figure of the executed notebook, because the flow shows no result.",
    )


class Result(ResultSummary):
    """A result with its content."""

    data: JsonObject = Field(description="MIME bundle: text, JSON, or base64 for binary images, by MIME type.")
    metadata: JsonObject = Field(default_factory=dict, description="The bundle's metadata, such as an image's width.")

    markdown_html: str | None = Field(
        default=None, description="The bundle's `text/markdown`, up to 10,000 characters, rendered and sanitised."
    )

    @property
    def image(self) -> str | None:
        """The MIME type of its image; None without one."""
        return next((kind for kind in IMAGE_TYPES if isinstance(self.data.get(kind), str)), None)


def bundle_size(data: JsonObject, metadata: JsonObject) -> int:
    """Return the size of a bundle as JSON, in bytes."""
    return len(json.dumps([data, metadata], ensure_ascii=False).encode(errors="replace"))


def check_result(name: str, data: JsonObject, metadata: JsonObject) -> int:
    """Return the size of a bundle. Raises `MalformedRequest` about the name or the bundle, and `TooLarge`."""
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_RESULT_NAME or not name.isprintable() or "/" in name:
        raise MalformedRequest(
            f"The name of a result is printable text of 1 to {MAX_RESULT_NAME} characters without a slash.",
            field="name",
        )
    if not isinstance(data, dict) or not data or not all("/" in kind for kind in data):
        raise MalformedRequest("A result is a MIME bundle, such as {'text/plain': 'done'}.", field="data")
    for kind in data.keys() & {*IMAGE_TYPES}:
        try:
            base64.b64decode(data[kind].replace("\n", ""), validate=True)
        except (AttributeError, ValueError) as error:
            raise MalformedRequest(
                f"{kind} of the result {name!r} is neither bytes nor base64.", field="data"
            ) from error
    if _has_more_values([data, metadata], MAX_RESULT_VALUES):
        raise TooLarge(
            f"The result {name!r} has more than {MAX_RESULT_VALUES:,} values. "
            "Show a smaller one, such as a figure with fewer points, or write it to a file.",
            field="data",
        )
    size = bundle_size(data, metadata)
    if size > MAX_RESULT_BYTES:
        raise TooLarge(
            f"The result {name!r} has {size / 2**20:.1f} MiB; a result has at most {MAX_RESULT_BYTES / 2**20:.0f} MiB. "
            "Show a smaller one, such as a figure with fewer dpi, or write it to a file.",
            field="data",
        )
    return size


def _has_more_values(value: object, limit: int) -> bool:
    """Return whether a JSON value holds more than `limit` others. It stops there."""
    count, left = 0, [value]
    while left:
        part = left.pop()
        if isinstance(part, dict | list):
            count += len(part)
            if count > limit:
                return True
            left.extend(part.values() if isinstance(part, dict) else part)
    return False
