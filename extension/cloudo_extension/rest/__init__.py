"""REST: one module per noun."""

from typing import Final

from cloudo_extension.http import handler, openapi
from cloudo_extension.rest import (
    dashboards,
    events,
    executions,
    files,
    flows,
    health,
    interactive,
    messages,
    notebooks,
    queue,
    schedules,
    settings,
    tokens,
    users,
    webhook_endpoint,
    webhooks,
)

_RECORDS = (flows, executions, notebooks, messages, schedules, webhooks, events, settings, files, tokens, queue)
#: Every route, most general last. The OpenAPI document is built from them.
routes: Final[tuple[openapi.Route, ...]] = tuple(
    route
    for module in (*_RECORDS, dashboards, webhook_endpoint, interactive, users, health, openapi, handler)
    for route in module.routes
)
#: Handlers that programs call many times a second.
BUSIEST: Final = (executions.Executions, webhook_endpoint.Call)
