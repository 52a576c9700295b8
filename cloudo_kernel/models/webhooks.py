"""The records of a webhook and of its deliveries, and the requests about them."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from enum import StrEnum
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from cloudo_kernel.models.base import JsonObject, Record, Request, UtcTime
from cloudo_kernel.models.executions import ExecutionBrief, Status

#: The inputs from a delivery. A fixed input cannot have one of these names.
DELIVERY_INPUTS = ("method", "path", "query", "headers", "json", "form", "text", "body_base64")
KEY_HEADER = "X-Cloudo-Key"
#: Maximum size of a body in bytes, for all webhooks.
MAX_BODY = 64 * 1024 * 1024
#: The prefix of Base64 secrets in Standard Webhooks.
SECRET_PREFIX = "whsec_"  # noqa: S105 -- the prefix of a secret, not a secret

#: Default wait for the end of the execution. GitHub and others hang up after 10 s.
SYNC_SECONDS = 8.0

_HEADER = re.compile(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")
#: `$.a.b[0]`, from the root of a JSON body, or of the fields of a form.
_JSON_PATH = re.compile(r"\$(\.[A-Za-z0-9_-]+|\[\d{1,4}\]){1,20}")
_ORIGIN = re.compile(r"\*|(https?://)?[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")
_SIGNED = frozenset({"body", "timestamp", "method", "url"})
#: Names that are addresses below `/webhook`.
_RESERVED: Final = frozenset({"preset"})
#: Headers that senders and proxies use for other purposes.
_TAKEN = frozenset({"authorization", "cookie", "content-type", "content-length", "host"})


class SignatureScheme(StrEnum):
    """How a sender signs its calls."""

    STANDARD_WEBHOOKS = "standard-webhooks"
    GITHUB = "github"
    GITLAB = "gitlab"
    STRIPE = "stripe"
    SLACK = "slack"
    SHOPIFY = "shopify"
    PADDLE = "paddle"
    HUBSPOT = "hubspot"
    SQUARE = "square"
    META = "meta"
    DROPBOX = "dropbox"
    #: HMAC with SHA-256, in a header that is named.
    HMAC_SHA256 = "hmac-sha256"


class WebhookReply(StrEnum):
    """The reply to a call that waits for the end."""

    #: `id`, `name`, `status`, `message` and `output_value`.
    BRIEF = "brief"
    #: The whole record, without traceback.
    RECORD = "record"


class WebhookMethod(StrEnum):
    """An HTTP method of webhook calls."""

    GET = "GET"
    POST = "POST"


def _header(name: str) -> str:
    if not _HEADER.match(name) or name.lower() in _TAKEN:
        raise ValueError(f"takes the name of a header such as {KEY_HEADER}")
    return name


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError as error:
        raise ValueError(f"{text[:50]!r} is not a network such as 192.0.2.0/24 or 2001:db8::/32") from error


def _fixed(inputs: JsonObject) -> JsonObject:
    if taken := sorted(inputs.keys() & set(DELIVERY_INPUTS)):
        raise ValueError(f"the input {taken[0]!r} comes with each delivery and cannot be fixed")
    return inputs


def _content(text: str) -> str:
    names = re.findall(r"\{(\w*)\}", text)
    if names.count("body") != 1 or len(set(names)) != len(names) or not set(names) <= _SIGNED or len(text) > 100:
        raise ValueError(
            "takes text with {body} once, and {timestamp}, {method} and {url} at most once, such as {timestamp}.{body}"
        )
    return text


def _delivery_place(text: str) -> str:
    places = text.split()
    for place in places or [""]:
        if not (_JSON_PATH.fullmatch(place) if place.startswith("$") else _HEADER.match(place)):
            raise ValueError("takes the name of a header, or a path in the body such as $.event.id")
    return " ".join(places)


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise ValueError("takes the address that the sender calls, such as https://hooks.example.com/cloudo/webhook/x")
    return text


def _origin(text: str) -> str:
    origin = text.lower()
    if not _ORIGIN.fullmatch(origin):
        raise ValueError("takes an origin such as https://shop.example.com, a host name, or * for all")
    return origin


def _name(name: str) -> str:
    if name in _RESERVED:
        raise ValueError(f"takes another name than {name!r}, which is an address of its own")
    return name


def _key(key: str) -> str:
    if not (key.isascii() and key.isprintable()) or key != key.strip():
        raise ValueError("takes ASCII letters, digits and punctuation, without spaces around them")
    return key


HeaderName = Annotated[str, AfterValidator(_header)]
Network = Annotated[str, Field(max_length=100), AfterValidator(_network)]
FixedInputs = Annotated[JsonObject, AfterValidator(_fixed)]
DeliveryPlace = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_delivery_place)]
PublicUrl = Annotated[str, Field(max_length=2000), AfterValidator(_address)]
AllowedOrigin = Annotated[str, Field(max_length=300), AfterValidator(_origin)]
QueryName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+$")]
SignedContent = Annotated[str, AfterValidator(_content)]
#: Long enough that it cannot be guessed, and short enough for a header.
Key = Annotated[str, Field(min_length=12, max_length=500), AfterValidator(_key)]
WebhookName = Annotated[
    str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$"), AfterValidator(_name)
]
Methods = Annotated[tuple[WebhookMethod, ...], Field(min_length=1, max_length=2)]
BodyLimit = Annotated[int, Field(ge=0, le=MAX_BODY)]
#: Deliveries per minute from one address.
RateLimit = Annotated[int, Field(ge=1, le=1_000_000)]
UserName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
SyncTimeout = Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)]


class LastDelivery(Record):
    """The newest call of a webhook."""

    received_at: UtcTime
    status_code: int | None = None
    reason: str | None = None


class Webhook(Record):
    """A public name under which an HTTP call starts a flow, without a user being logged in."""

    name: str
    flow_name: str
    user_name: str = Field(description="The user that the flow runs as.")
    has_key: bool = Field(
        default=False,
        description="Whether callers must send a key or sign with it. No record contains the key itself.",
    )
    signature: SignatureScheme | None = None
    signature_header: str | None = Field(
        default=None, description="With `hmac-sha256`: the header with the signature. The two fields below go with it."
    )
    signed_content: str = "{body}"
    timestamp_header: str | None = None
    public_url: str | None = Field(
        default=None,
        description="The address that the sender calls and signs, if a proxy changes it.",
    )
    delivery_id: str | None = Field(
        default=None,
        description="Location of the sender's delivery id: a header, or a path in the body such as "
        "`$.event_id`. Several, separated by spaces, form one id. A repeated delivery starts "
        "nothing. Presets have a default.",
    )
    challenge_parameter: str | None = Field(
        default=None,
        description="Query parameter that an unsigned GET echoes, for senders that verify an address. Starts nothing.",
    )
    key_header: str = Field(default=KEY_HEADER, description="Header with the key of an unsigned call.")
    allowed_methods: tuple[WebhookMethod, ...] = (WebhookMethod.GET, WebhookMethod.POST)
    allowed_networks: tuple[str, ...] = Field(default=(), description="Networks that can call it; empty for any.")
    max_body_bytes: int = 1024 * 1024
    rate_limit: int | None = Field(default=600, description="Maximum calls per minute and caller; null for no limit.")
    allowed_origins: tuple[str, ...] = Field(
        default=(),
        description="Origins of pages (CORS) and of CloudEvents senders that can call it.",
    )
    raw: bool = Field(default=False, description="Whether the flow always gets the raw body, as `body_base64`.")
    enabled: bool = True
    sync_timeout_seconds: float = Field(
        default=SYNC_SECONDS,
        description="Time to wait for the flow's reply. Some presets use less, because their senders time out earlier.",
    )
    inputs: JsonObject = Field(default_factory=dict, description="Additional inputs of the flow.")
    reply: WebhookReply = WebhookReply.BRIEF
    created_at: UtcTime
    modified_at: UtcTime
    last_delivery: LastDelivery | None = Field(default=None, description="The newest call; null without any.")


class CreatedWebhook(Webhook):
    """A created or changed webhook, with the key if Cloudo has just generated it."""

    key: str | None = Field(
        default=None, repr=False, description="The key that `generate_key` has generated. No other reply contains it."
    )


class WebhookPreset(Record):
    """A known sender: how it signs its calls, and the defaults for its webhooks."""

    name: SignatureScheme = Field(description="The value of `signature`.")
    title: str
    signature_header: str = Field(description="The header with the signature. The preset sets it.")
    signed_content: str = Field(description="The signed text.")
    timestamp_header: str | None = Field(default=None, description="The header with the time, if it has its own.")
    is_key_plain: bool = Field(default=False, description="Whether the header holds the key itself.")
    issues_key: bool = Field(description="Whether the sender issues the key, so that none can be generated here.")
    delivery_id: str | None = Field(default=None, description="Default of the webhook's field.")
    challenge_parameter: str | None = Field(default=None, description="Default of the webhook's field.")
    sync_timeout_seconds: float = Field(description="Default of the webhook's field.")


class Delivery(Record):
    """One call of a webhook, and its outcome."""

    id: str = Field(description="UUIDv7: sorts by the time of the call.")
    webhook_name: str
    received_at: UtcTime
    source_ip: str
    status_code: int | None = Field(
        default=None, description="HTTP status of the reply; null while the caller waits, or if it disconnected."
    )
    execution_id: str | None = None
    execution: ExecutionBrief | None = Field(
        default=None, description="The execution that it started; null if none, or if it is no longer kept."
    )
    delivery_id: str | None = Field(
        default=None, description="The sender's id of the delivery. A repeated id starts nothing."
    )
    reason: str | None = Field(default=None, description="Reason why nothing was started, or a note.")


class ChangeWebhook(Request):
    """A request to change a webhook. Omitted fields stay unchanged."""

    flow_name: str | None = Field(default=None, min_length=1)
    user_name: UserName | None = Field(
        default=None,
        description="The user that the flow runs as. Only administrators can name another user than themselves.",
    )
    key: Key | None = Field(
        default=None,
        repr=False,
        description="The key of unsigned calls, or the secret that signs calls; null removes it.",
    )
    generate_key: bool = Field(
        default=False, description="Generate the key. Only the reply to this request contains it. Not with `key`."
    )
    signature: SignatureScheme | None = None
    signature_header: HeaderName | None = None
    signed_content: SignedContent | None = None
    timestamp_header: HeaderName | None = None
    public_url: PublicUrl | None = None
    delivery_id: DeliveryPlace | None = None
    challenge_parameter: QueryName | None = None
    key_header: HeaderName | None = None
    allowed_methods: Methods | None = None
    allowed_networks: Annotated[tuple[Network, ...], Field(max_length=100)] | None = None
    max_body_bytes: BodyLimit | None = None
    rate_limit: RateLimit | None = None
    allowed_origins: Annotated[tuple[AllowedOrigin, ...], Field(max_length=100)] | None = None
    raw: bool | None = None
    enabled: bool | None = None
    sync_timeout_seconds: SyncTimeout | None = None
    inputs: FixedInputs | None = None
    reply: WebhookReply | None = None

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.generate_key and "key" in self.model_fields_set:
            raise ValueError("give either key or generate_key")
        return self

    def given(self) -> JsonObject:
        """Return the fields that were given, including None for those that can be removed."""
        found: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set - {"generate_key"}}
        return {name: value for name, value in found.items() if value is not None or name in _REMOVABLE}


#: The fields that null removes. For any other field null has no effect.
_REMOVABLE = frozenset(
    {
        *("key", "signature", "signature_header", "timestamp_header", "rate_limit"),
        *("public_url", "delivery_id", "challenge_parameter"),
    }
)


class CreateWebhook(ChangeWebhook):
    """A request to create a webhook."""

    name: WebhookName
    flow_name: str = Field(min_length=1)


class WebhookResponse(Request):
    """A flow's own reply to the call that started it."""

    status: int = Field(default=200, ge=200, le=599)
    content_type: str = Field(max_length=200, pattern=r"^[a-z]+/[A-Za-z0-9.+-]+(; ?[a-z-]+=[A-Za-z0-9_.+-]+)*$")
    content: bytes = b""


def secret_bytes(key: str, scheme: SignatureScheme) -> bytes:
    """Return the secret of a key for its scheme. Raises `ValueError`."""
    is_gitlabs_signing_token = scheme is SignatureScheme.GITLAB and key.startswith(SECRET_PREFIX)
    if scheme is not SignatureScheme.STANDARD_WEBHOOKS and not is_gitlabs_signing_token:
        return key.encode()
    try:
        return base64.b64decode(key.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"takes {SECRET_PREFIX} and the secret in Base64, for the signature {scheme}") from error


class DeliveryReply(Record):
    """The usual reply to a call."""

    id: str
    name: str | None = None
    status: Status | None = None
    message: str | None = None
    output_value: JsonObject | None = None
