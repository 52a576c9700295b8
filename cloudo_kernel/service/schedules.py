"""Verbs for schedules. `service.due` starts their executions; `planning`, which is pure, decides outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from cloudo_kernel import planning
from cloudo_kernel.errors import CloudoError, Conflict, InputsInvalid, MalformedRequest, NotConfirmed, Unavailable
from cloudo_kernel.models import (
    ChangeSchedule,
    CreateSchedule,
    Flow,
    FollowingFlow,
    JsonObject,
    Notification,
    Occasion,
    Occurrence,
    Origin,
    Page,
    PreviewSchedule,
    PreviewTime,
    Schedule,
    ScheduleOptions,
    ScheduleOrder,
    SchedulePreview,
    ScheduleTrigger,
    rfc3339,
)
from cloudo_kernel.models.event_types import SCHEDULE_CHANGED, SCHEDULE_PAUSED, SCHEDULE_RESUMED
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.scheduling import humanize, zones
from cloudo_kernel.security import outbound_http
from cloudo_kernel.security.redaction import PROTECTED
from cloudo_kernel.service.base import id_cursor, not_a_cursor, page_limit
from cloudo_kernel.service.starts import StartVerbs, restored
from cloudo_kernel.store import Due, Firing, Hidden, NewOccurrence

#: Number of next runs that a preview and a schedule show.
_SHOWN = 10
#: Maximum attempts of a change: of two concurrent changes, the second starts again.
TRIES = 10
#: Fields that a change may set to null.
_OPTIONAL = ("end_at", "max_iterations", "catch_up_window_seconds", "pause_on_error_count", *Occasion)
_INSTANT = timedelta(microseconds=1)


class ScheduleVerbs(StartVerbs):
    """Create, read, list, preview, change, pause, resume and delete schedules."""

    def create_schedule(self, request: CreateSchedule) -> Schedule:
        """See `Api.create_schedule`."""
        self._ask_flow("create_schedule", request.flow_name)
        timing = self._timing(request.trigger, request.timezone, confirmed=request.confirmed)
        source = self._flow_source(request.flow_name)
        inputs = self._validated(source.flow, request.inputs, self._trigger)
        shown, hidden = self._split_inputs(source.flow, inputs)
        self._check_follow_ups(request)
        given = request.model_dump(exclude={"trigger", "timezone", "end_at", "confirmed", "name", "flow_name"})
        given["inputs"] = shown
        schedule = Schedule(
            id=new_id(),
            name=self.redaction.mask(request.name or source.flow.name),
            flow_name=source.flow.name,
            **given,
            **timing,
            end_at=_end(request.end_at, timing["timezone"]),
            user_name=self._user_name,
            created_at=self._store.now,
        )
        after = schedule.start - _INSTANT
        if next(planning.times(schedule, after=after), None) is None:
            raise MalformedRequest("The schedule would end before its first time.", field="end_at")
        schedule = _planned(schedule, after=after)
        sealed = self._store.encryption.seal_values(hidden)
        self._store.schedules.insert(schedule, replace(self._hidden(schedule), sealed_inputs=sealed))
        return _with_next_runs(schedule).described(now=schedule.created_at)

    def schedules(
        self,
        *,
        flow_name: str | None = None,
        q: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
        order: ScheduleOrder = ScheduleOrder.NEWEST,
    ) -> Page[Schedule]:
        """See `Api.schedules`."""
        self._ask("schedules")
        size, before = page_limit(limit), id_cursor(cursor)
        page = self._store.schedules.page(
            flow_name=flow_name, q=q, flows=self._rights.flows, limit=size, before=before, order=order
        )
        return Page[Schedule](items=tuple(map(self._judged, page.items)), next=page.next)

    def schedule(self, schedule_id: str) -> Schedule:
        """See `Api.schedule`."""
        self._ask_schedule("schedule", schedule_id)
        return self._judged(_with_next_runs(self._store.schedules.get(schedule_id)))

    def change_schedule(self, schedule_id: str, request: ChangeSchedule) -> Schedule:
        """See `Api.change_schedule`."""
        self._ask_schedule("change_schedule", schedule_id)
        given = request.given()
        if not given:
            raise MalformedRequest("Changing a schedule needs at least one field.")
        self._check_follow_ups(request)
        if request.name is not None:
            request = request.model_copy(update={"name": self.redaction.mask(request.name)})
        return self._change(schedule_id, request, SCHEDULE_CHANGED, fields=sorted(given))

    def pause_schedule(self, schedule_id: str) -> Schedule:
        """See `Api.pause_schedule`."""
        self._ask_schedule("pause_schedule", schedule_id)
        return self._change(schedule_id, ChangeSchedule(enabled=False), SCHEDULE_PAUSED)

    def resume_schedule(self, schedule_id: str) -> Schedule:
        """See `Api.resume_schedule`."""
        self._ask_schedule("resume_schedule", schedule_id)
        return self._change(schedule_id, ChangeSchedule(enabled=True), SCHEDULE_RESUMED)

    def delete_schedule(self, schedule_id: str) -> None:
        """See `Api.delete_schedule`."""
        self._ask_schedule("delete_schedule", schedule_id)
        self._store.schedules.delete(schedule_id, user_name=self._user_name)

    def occurrences(self, schedule_id: str, *, limit: int = 100, cursor: str | None = None) -> Page[Occurrence]:
        """See `Api.occurrences`."""
        self._ask_schedule("occurrences", schedule_id)
        size = page_limit(limit)
        try:
            before = None if cursor is None else datetime.fromisoformat(cursor)
        except ValueError as error:
            raise not_a_cursor() from error
        if before is not None and before.tzinfo is None:
            raise not_a_cursor()
        self._store.schedules.get(schedule_id)  # raises `ScheduleNotFound`
        found = self._store.occurrences.page(schedule_id, limit=size + 1, before=before)
        items = found[:size]
        return Page[Occurrence](items=items, next=rfc3339(items[-1].due) if len(found) > size else None)

    def preview_schedule(self, request: PreviewSchedule) -> SchedulePreview:
        """See `Api.preview_schedule`."""
        self._ask("preview_schedule")
        return self._previewed(request)

    def _previewed(self, request: PreviewSchedule) -> SchedulePreview:
        now = self._store.now
        timing = self._timing(request.trigger, request.timezone, confirmed=True)
        if request.after is not None and request.trigger.is_local:
            timing["start"] = min(timing["start"], request.after)  # they have times before their start, too
        schedule = Schedule(
            id="",
            name="",
            flow_name="",
            **timing,
            end_at=_end(request.end_at, timing["timezone"]),
            user_name=self._user_name,
            created_at=now,
        )
        zone = zones.zone(schedule.timezone)
        after = schedule.start - _INSTANT if request.after is None else request.after
        shown = tuple(islice(planning.times(schedule, after=after), _SHOWN))
        return SchedulePreview(
            timezone=schedule.timezone,
            description=schedule.trigger.rule.describe(schedule.timezone),
            summary=_summary(request.trigger, schedule, shown, now=now),
            times=tuple(
                PreviewTime(
                    utc=time, local=time.astimezone(zone).isoformat(), text=humanize.spoken(time, zone, now=now)
                )
                for time in shown
            ),
            notes=request.trigger.rule.notes(zone, now=now),
            needs_confirmation=request.trigger.rule.needs_confirmation(zone, now=now),
        )

    def _change(self, schedule_id: str, request: ChangeSchedule, event: str, **details: Any) -> Schedule:
        """Change a schedule. If it moves on or changes meanwhile, try again with its new state.

        Raises `Unavailable` after `TRIES` attempts.
        """
        tries, now = 0, self._store.now
        while tries < TRIES:
            due = self._store.schedules.look(schedule_id)
            schedule, sealed = self._with_changed_inputs(self._changed(due, request, now=now), due, request)
            hidden = replace(self._hidden(schedule, due), sealed_inputs=sealed)
            if self._pass_over(due, schedule, now=now):
                continue
            if self._store.schedules.change(due, schedule, hidden, event=event, user_name=self._user_name, **details):
                return self._judged(_with_next_runs(schedule))
            tries += 1
        raise changed_all_the_time()

    def _changed(self, due: Due, request: ChangeSchedule, *, now: datetime) -> Schedule:
        given, before = request.given(), due.schedule
        fields = {name: value for name, value in given.items() if value is not None or name in _OPTIONAL}
        timezone = request.timezone or before.timezone
        after = now
        if (trigger := request.trigger) is not None:
            timing = self._timing(
                trigger, request.timezone or trigger.timezone or timezone, confirmed=request.confirmed
            )
            if "max_iterations" in given and trigger.max_iterations is None:
                del timing["max_iterations"]
            fields |= timing
            after = fields["start"] - _INSTANT
        if request.timezone is not None:
            zones.zone(timezone)
        if "end_at" in given:
            fields["end_at"] = _end(request.end_at, fields.get("timezone", timezone))
        schedule = before.model_copy(update={**fields, "broken": None, "pause_reason": None})
        if schedule.trigger.is_once and schedule.max_iterations is not None:
            raise MalformedRequest("max_iterations is not for a schedule that runs once.", field="max_iterations")
        if due.awaited_id is not None and schedule.trigger.counts_from_end and schedule.enabled:
            return schedule.model_copy(update={"next_run": None})  # the end of that execution sets the next run
        if _keeps_time(before, schedule, request):
            return schedule
        if due.last_due is not None:
            after = max(after, due.last_due)
        schedule = _planned(schedule, after=after)
        is_asked_to_run = request.enabled if "enabled" in given else request.trigger is not None
        if is_asked_to_run and schedule.enabled and schedule.next_run is None:
            raise Conflict(
                f"The schedule {schedule.name!r} has no time left. Give it another trigger, limit or end.",
                field="trigger",
            )
        return schedule

    def _pass_over(self, due: Due, schedule: Schedule, *, now: datetime) -> bool:
        """Record times that have come as missed, unless the changed schedule keeps its next run.

        Returns whether any were recorded. One call records a limited number, so more may be left.
        """
        before = due.schedule
        if before.next_run is None or schedule.next_run == before.next_run:
            return False
        if planning.fire_at(before, before.next_run) > now:
            return False
        if not zones.is_zone(before.timezone):  # only a machine that knows the zone can compute the times
            return False
        what = "changed" if schedule.enabled else "paused"
        plan = planning.passed_over(before, now=now, reason=f"the schedule was {what} before the run started")
        new = [
            NewOccurrence(one.due, one.outcome, one.reason, one.iteration, until=one.until, number=one.number)
            for one in plan.occurrences
        ]
        next_run = plan.next_run
        if before.trigger.counts_from_end:
            next_run = planning.after_end(before, now)
        fire_at = None if next_run is None else planning.fire_at(before, next_run)
        firing = Firing(
            due,
            new,
            next_run=next_run,
            fire_at=fire_at,
            iterations=plan.iterations,
            last_due=plan.last_due,
            broken=before.broken,
        )
        self._store.occurrences.fire([firing], user_name=self._user_name)
        return True

    def _with_changed_inputs(
        self, schedule: Schedule, due: Due, request: ChangeSchedule
    ) -> tuple[Schedule, str | None]:
        """Return the changed schedule with its shown inputs, and its hidden inputs sealed."""
        if "inputs" not in request.given():
            return schedule, due.sealed_inputs
        flow = self._flow_source(schedule.flow_name).flow
        before = self._store.encryption.unseal_values(due.sealed_inputs)
        inputs = self._validated(flow, restored(request.inputs or {}, before), self._trigger, before)
        shown, hidden = self._split_inputs(flow, inputs, hides=before.keys())
        return schedule.model_copy(update={"inputs": shown}), self._store.encryption.seal_values(hidden)

    def _timing(self, trigger: ScheduleTrigger, timezone: str | None, *, confirmed: bool) -> JsonObject:
        """Return the fields of a schedule that come from its trigger. The record holds them outside of the trigger.

        Raises `MalformedRequest`, `NotConfirmed`.
        """
        if timezone is not None and trigger.timezone not in (None, timezone):
            raise MalformedRequest("Give the timezone once: it differs from the trigger's.", field="timezone")
        named = timezone or trigger.timezone
        zone, now, rule = zones.zone(named) if named else self._zone(), self._store.now, trigger.rule
        rule.check(zone)
        if not confirmed and rule.needs_confirmation(zone, now=now):
            raise NotConfirmed(rule.notes(zone, now=now))
        stored = trigger.model_copy(update={"timezone": None, "max_iterations": None, **rule.stored(zone)})
        return {
            "trigger": stored,
            "timezone": zone.key,
            "start": rule.start(zone, now=now),
            "max_iterations": trigger.max_iterations,
        }

    def _check_follow_ups(self, request: ScheduleOptions) -> None:
        """Raise an error for a follow-up with a missing or forbidden flow, a secret input or a refused address."""
        for occasion, following in ((name, one) for name in Occasion for one in getattr(request, name) or ()):
            try:
                if isinstance(following, FollowingFlow):
                    self._rights.check_flow(following.flow)
                    self._check_open(self._flow_source(following.flow).flow, following.inputs)
                elif isinstance(following, Notification):
                    outbound_http.check(following.url, self._catalog.workspace.allowed_private_networks)
            except CloudoError as error:
                error.field = occasion.value
                raise

    def _check_open(self, flow: Flow, inputs: JsonObject) -> None:
        """Raise `InputsInvalid` if one of the inputs is a secret, because the record shows them to everyone."""
        for name in self._split_inputs(flow, inputs)[1]:
            raise InputsInvalid(
                f"The input {name!r} of {flow.name!r} is a secret, and everyone would see it here. "
                "Save it as a secret setting, and let the flow read that.",
                field=name,
            )

    def _hidden(self, schedule: Schedule, due: Due | None = None) -> Hidden:
        """Return the stored fields that the record does not show. `due` is the schedule before the change."""
        fire_at = None if schedule.next_run is None else planning.fire_at(schedule, schedule.next_run)
        goes_on = due is not None and schedule.enabled and schedule.trigger.counts_from_end
        hidden = Hidden(fire_at=fire_at, awaited_id=due.awaited_id if due and goes_on else None)
        if not schedule.pin_source:
            return hidden
        if due is not None and due.source_sha256 is not None:
            return replace(hidden, source_sha256=due.source_sha256)
        source = self._flow_source(schedule.flow_name)
        return replace(hidden, source_sha256=source.sha256, source_text=source.text)

    def _judged(self, schedule: Schedule) -> Schedule:
        """Return the schedule with `broken` set to the reason why it cannot start now, or None."""
        broken = None
        try:
            zones.zone(schedule.timezone)  # this machine may not know it
            if not schedule.pin_source:
                flow = self._catalog.flow(schedule.flow_name)
                broken = flow.broken and f"The flow is broken: {flow.broken}"
                self._validated(_lenient(flow, schedule.inputs), schedule.inputs, Origin.SCHEDULE)
        except CloudoError as error:
            broken = broken or str(error)
        return schedule.model_copy(update={"broken": broken}).described(now=self._store.now)


def _lenient(flow: Flow, inputs: JsonObject) -> Flow:
    """Return the flow with a schema that accepts anything for hidden inputs, whose values are not known here."""
    properties = dict(flow.input_schema["properties"])
    hidden = [name for name, value in inputs.items() if name in properties and PROTECTED in str(value)]
    properties |= {name: {} for name in hidden}
    return flow.model_copy(update={"input_schema": {**flow.input_schema, "properties": properties}})


def _summary(trigger: ScheduleTrigger, schedule: Schedule, times: Sequence[datetime], *, now: datetime) -> str:
    description = schedule.trigger.rule.describe(schedule.timezone)
    if not times:
        return f"{description}: there is no time left."
    coming = trigger.rule.coming(times, schedule.timezone, now=now)
    return coming if trigger.counts_from_end else f"{description}, {coming}"


def changed_all_the_time() -> Unavailable:
    """Return the error for a schedule that has changed during each of `TRIES` attempts."""
    return Unavailable("Others keep changing the schedule. Try again.")


def _keeps_time(before: Schedule, after: Schedule, request: ChangeSchedule) -> bool:
    """Tell whether a change keeps the next run, even one that is due and has not started yet."""
    is_retimed = request.trigger is not None or (before.trigger.is_local and after.timezone != before.timezone)
    if is_retimed or not (before.enabled and after.enabled) or before.next_run is None:
        return False
    if after.max_iterations is not None and after.iterations >= after.max_iterations:
        return False
    return after.end_at is None or before.next_run <= after.end_at


def _planned(schedule: Schedule, *, after: datetime) -> Schedule:
    """Return a schedule with its next run after a moment, if it is enabled."""
    next_run = next(planning.times(schedule, after=after), None) if schedule.enabled else None
    return schedule.model_copy(update={"next_run": next_run})


def _with_next_runs(schedule: Schedule) -> Schedule:
    """Return a schedule with its next ten runs, as far as they are known now."""
    runs: list[datetime] = []
    if schedule.next_run is not None:
        runs = [schedule.next_run]
        if not schedule.trigger.counts_from_end and zones.is_zone(schedule.timezone):
            runs = list(islice(planning.times(schedule, after=schedule.next_run - _INSTANT), _SHOWN))
    return schedule.model_copy(update={"next_runs": tuple(runs)})


def _end(moment: datetime | None, timezone: str) -> datetime | None:
    return None if moment is None else zones.resolve(moment, zones.zone(timezone), field="end_at")
