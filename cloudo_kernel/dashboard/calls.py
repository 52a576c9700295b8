"""What the page may ask: a fixed list of verbs, each a few calls of `Api`. Answers are plain JSON made by `rows`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from cloudo_kernel.api import PAGE_LIMIT, Api
from cloudo_kernel.dashboard import message_calls, page_source, rows, schedule_calls, token_calls, webhook_calls
from cloudo_kernel.dashboard.attempts import tried
from cloudo_kernel.errors import CloudoError, MalformedRequest, WorkspaceNotFound
from cloudo_kernel.models import Execution, ExecutionFilter, JsonObject, StartExecution, Status, rfc3339
from cloudo_kernel.workspace.layout import Workspace

_log = logging.getLogger(__name__)

_OWN: Final = frozenset(
    {
        "ping",
        "module",
        "health",
        "flows",
        "forms",
        "start",
        "executions",
        "execution",
        "children",
        "log",
        "cancel",
        "pause",
        "resume",
        "retry",
        "delete",
    }
)


#: The verbs; nothing else can be asked for.
VERBS: Final = _OWN | schedule_calls.VERBS | message_calls.VERBS | webhook_calls.VERBS | token_calls.VERBS


class Calls(
    schedule_calls.ScheduleCalls, message_calls.MessageCalls, webhook_calls.WebhookCalls, token_calls.TokenCalls
):
    """Answers the page with what `api` says."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def answer(self, verb: object, arguments: object) -> JsonObject:
        """Return `{"result": …}` of a verb, or `{"error": …}`; never raises."""
        try:
            if verb not in VERBS or not isinstance(arguments, dict):
                raise MalformedRequest(f"The dashboard knows no verb {verb!r}.")
            return {"result": getattr(self, str(verb))(**arguments)}
        except CloudoError as error:
            return {"error": rows.trouble(error)}
        except Exception as error:  # noqa: BLE001 -- whatever it is, the page must hear of it
            _log.exception("A call of the dashboard failed.", extra={"verb": verb})
            return {"error": rows.trouble(error)}

    def ping(self) -> JsonObject:
        """Tell that the kernel is alive, and what time it is."""
        return {"now": rfc3339(datetime.now(UTC))}

    def module(self, *, name: str) -> str:
        """Return the script of a part of the page that it needs now for the first time."""
        if name not in page_source.LATER:
            raise MalformedRequest(f"The dashboard has no part {name!r}.", field="name")
        return page_source.later(name)

    def health(self) -> JsonObject:
        """Tell how many workers there are, and how many schedules are overdue."""
        return self._api.health().model_dump(mode="json")

    def flows(self) -> JsonObject:
        """List the flows, and where to put more."""
        return {"flows": [rows.flow_row(flow) for flow in self._api.flows()], "folder": _flows_folder()}

    def forms(self, *, names: Sequence[str]) -> list[JsonObject]:
        """Return what the forms of these flows need, as the notebooks are now."""
        return [rows.flow_form(self._api.flow(name)) for name in names]

    def start(self, *, items: Sequence[JsonObject]) -> list[JsonObject]:
        """Start executions `{flow_name, inputs, key}`; each gives its row or its error."""

        def start_one(item: JsonObject) -> JsonObject:
            request = StartExecution(flow_name=item["flow_name"], inputs=item["inputs"])
            return rows.execution_row(self._api.start_execution(request, idempotency_key=item["key"]))

        return [tried(start_one, item) for item in items]

    def executions(
        self, *, status: Sequence[str] = (), q: str = "", limit: int = 100, cursor: str | None = None
    ) -> JsonObject:
        """Return a page of executions, newest first."""
        where = ExecutionFilter(status=tuple(map(Status, status)) or None, q=q or None)
        page = self._api.executions(where, limit=min(limit, PAGE_LIMIT), cursor=cursor)
        return {"rows": [rows.execution_row(execution) for execution in page.items], "next": page.next}

    def execution(self, *, execution_id: str) -> JsonObject:
        """Return one execution in full, and how many lines its log has."""
        execution = self._api.execution(execution_id)
        tail = len(execution.log or ())
        length = tail if tail < _RECORD_LINES else self._log_length(execution_id)
        return rows.execution_whole(execution, log_length=length) | {"messages": self.messages_of(execution_id)}

    def children(self, *, execution_id: str, cursor: str | None = None) -> JsonObject:
        """Return a page of the executions that this one started, newest first."""
        page = self._api.executions(ExecutionFilter(parent_id=execution_id), limit=_CHILDREN, cursor=cursor)
        return {"rows": [rows.execution_row(execution) for execution in page.items], "next": page.next}

    def log(self, *, execution_id: str, after: int, limit: int = PAGE_LIMIT) -> JsonObject:
        """Return the lines of a log after its first `after` ones."""
        page = self._api.execution_log(execution_id, limit=min(limit, PAGE_LIMIT), cursor=str(after) if after else None)
        return {"lines": [rows.log_row(line) for line in page.items], "is_last": page.next is None}

    def cancel(self, *, ids: Sequence[str]) -> list[JsonObject]:
        """Cancel executions; each gives its row or its error."""
        return _tried_with_each(self._api.cancel_execution, ids)

    def pause(self, *, ids: Sequence[str]) -> list[JsonObject]:
        """Pause executions; each gives its row or its error."""
        return _tried_with_each(self._api.pause_execution, ids)

    def resume(self, *, ids: Sequence[str]) -> list[JsonObject]:
        """Let paused executions go on; each gives its row or its error."""
        return _tried_with_each(self._api.resume_execution, ids)

    def retry(self, *, ids: Sequence[str]) -> list[JsonObject]:
        """Start ended executions anew with their inputs; each gives the row of the new one or its error."""
        return _tried_with_each(self._api.retry_execution, ids)

    def delete(self, *, ids: Sequence[str]) -> list[JsonObject]:
        """Delete ended executions; each gives null or its error."""
        return [tried(self._api.delete_execution, one) for one in ids]

    def _log_length(self, execution_id: str) -> int:
        """Find the length of a long log in a few steps: a cursor of the log is the number of lines before it."""

        def is_reached(number: int) -> bool:
            return not self._api.execution_log(execution_id, limit=1, cursor=str(number)).items

        low, high = _RECORD_LINES, 2 * _RECORD_LINES
        while not is_reached(high):
            low, high = high, 2 * high
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if is_reached(middle) else (middle + 1, high)
        return low


#: So many children come at once.
_CHILDREN: Final = 50
#: A record carries this many lines of its log at most.
_RECORD_LINES: Final = 1_000


def _tried_with_each(verb: Callable[[str], Execution], ids: Sequence[str]) -> list[JsonObject]:
    return [tried(lambda one: rows.execution_row(verb(one)), one) for one in ids]


def _flows_folder() -> str | None:
    try:
        return str(Workspace.find().flows)
    except WorkspaceNotFound:
        return None
