"""Carries out follow-ups of ended executions: starts flows and calls outside addresses.

The store has a row for each follow-up. Workers look for them after each change of the store.
"""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import urlsplit

from cloudo_kernel.errors import AddressRefused, CloudoError, SecretLost, SettingNotFound, Unavailable
from cloudo_kernel.models import Execution, FollowingFlow, Notification, Occasion, Origin, StartExecution, rfc3339
from cloudo_kernel.security import outbound_http
from cloudo_kernel.security.outbound_http import CallFailed
from cloudo_kernel.service.starts import StartVerbs
from cloudo_kernel.store import DueFollowUp
from cloudo_kernel.webhooks import signatures

_log = logging.getLogger(__name__)

#: The event type in the body of a call.
_TYPES = {
    Occasion.ON_SUCCESS: "execution.succeeded",
    Occasion.ON_ERROR: "execution.failed",
    Occasion.ON_RECOVERY: "execution.recovered",
}
_GONE = 410


class FollowUpVerbs(StartVerbs):
    """Start the flows and make the calls named as `on_success`, `on_error` or `on_recovery`."""

    def start_following_flows(self) -> None:
        """Start the flows that follow ended executions. Every worker calls it after each change of the store."""
        for due in self._store.follow_ups.due_flows(reserved_for=self._reserved_for):
            assert isinstance(due.target, FollowingFlow)
            try:
                self._start_following(due, due.target)
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 -- no error may stop the dispatcher
                if not isinstance(error, CloudoError):
                    _log.exception("A flow that follows could not be started", extra={"execution_id": due.execution.id})
                complaint = f"The flow {due.target.flow!r} ({due.occasion}) could not be started: {error}"
                self._store.follow_ups.give_up(due, complaint)

    def send_notification(self, due: DueFollowUp, *, timeout_seconds: float, delay_seconds: float | None) -> None:
        """Call an address and record the result. Retry a failed call after `delay_seconds`, or never without it."""
        assert isinstance(due.target, Notification)
        parts, reason = urlsplit(due.target.url), None
        try:
            status = self._call(due, due.target, timeout_seconds)
        except AddressRefused as error:
            reason, delay_seconds = str(error), None
        except CallFailed as error:
            reason = str(error)
        else:
            if not 200 <= status < 300:
                reason = f"it answered {status}" + ("; redirections are not followed" if 300 <= status < 400 else "")
            if status == _GONE:  # 410 Gone: the receiver wants no more calls
                delay_seconds = None
        # The rest of an address may contain a secret.
        place = f"{parts.scheme}://{parts.netloc}"
        self._store.follow_ups.settle_notification(due, place=place, reason=reason, delay_seconds=delay_seconds)

    def _call(self, due: DueFollowUp, target: Notification, timeout_seconds: float) -> int:
        """Post the execution and return the status of the reply. Raises `AddressRefused`, `CallFailed`."""
        execution = due.execution
        assert execution.ended_at is not None
        record = execution.model_dump(mode="json", exclude={"log": True, "error": {"traceback"}})
        told = {"type": _TYPES[due.occasion], "timestamp": rfc3339(execution.ended_at), "data": record}
        body, message_id = json.dumps(told, ensure_ascii=False).encode(), f"msg_{due.id}"
        headers = {"Content-Type": "application/json", "User-Agent": "Cloudo", "webhook-id": message_id}
        if target.secret is not None:
            headers |= self._signature(target.secret, message_id, body)
        allowed = self._catalog.workspace.allowed_private_networks
        return outbound_http.post(target.url, body, headers, allowed=allowed, timeout_seconds=timeout_seconds)

    def _signature(self, setting: str, message_id: str, body: bytes) -> dict[str, str]:
        try:
            secret = self._store.settings.get(setting, reveal=True).value
            return signatures.sign(secret if isinstance(secret, str) else "", message_id, body, now=self._store.now)
        except (SettingNotFound, SecretLost, ValueError) as error:
            raise CallFailed(f"the setting {setting!r} does not hold a secret such as whsec_…: {error}") from error

    def _start_following(self, due: DueFollowUp, target: FollowingFlow) -> None:
        execution = due.execution
        acting = type(self)(
            self._store,
            self._catalog,
            user_name=execution.user_name,
            trigger=Origin.FLOW,
            reserved_for=self._reserved_for,
            # As deep as a child, so that the maximum depth ends a loop of flows whose children fail.
            depth=due.depth + 1,
        )
        request = StartExecution(flow_name=target.flow, inputs=_told(execution, due.occasion) | target.inputs)
        new, _ = acting.prepare_start(request, follow_ups=None)  # a follow-up has no follow-ups of its own
        self._store.follow_ups.start(due, new)


def _told(execution: Execution, occasion: Occasion) -> dict[str, Any]:
    error = execution.error
    return {
        "execution_id": execution.id,
        "flow_name": execution.flow_name,
        "occasion": occasion.value,
        "error": None if error is None else error.model_dump(mode="json", exclude={"traceback"}),
        "message": execution.message,
    }
