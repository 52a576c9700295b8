"""Verbs for the flows and the files of the workspace."""

from __future__ import annotations

import contextlib
import hashlib
import json
from bisect import bisect_right
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice
from pathlib import PurePosixPath
from statistics import median

from cloudo_kernel import settings
from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.errors import FlowNotFound, MalformedRequest, NameInvalid
from cloudo_kernel.models import (
    Action,
    ExecutionActivity,
    File,
    Flow,
    FlowActivity,
    Kernel,
    OwnDashboard,
    Page,
    ReadInputs,
    RecentExecution,
    Status,
)
from cloudo_kernel.models.event_types import (
    FILE,
    FILE_DELETED,
    FILE_SAVED,
    FLOW,
    FLOW_CHANGED,
    FLOW_CREATED,
    FLOW_DELETED,
)
from cloudo_kernel.security.bounds import MAX_YAML_BYTES
from cloudo_kernel.security.documents import mapping
from cloudo_kernel.service.base import Base
from cloudo_kernel.workspace.catalog import is_match, kernels, sort_key
from cloudo_kernel.workspace.catalog.places import is_below
from cloudo_kernel.workspace.dashboards import dashboards
from cloudo_kernel.workspace.files import WorkspaceFiles

#: Bounds of what lists of flows and charts show.
_MAX_RECENT = 50
#: Executions of each flow in lists of flows.
_BRIEFS = 5
_MAX_HOURS = 744
#: The pages of one list share a look at the files, unless the reader takes longer than this from page to page.
_SAME_LIST_SECONDS = 5.0


class WorkspaceVerbs(Base):
    """List, read, create, change and delete flows and files."""

    def flows(self, *, q: str | None = None) -> tuple[Flow, ...]:
        """See `Api.flows`."""
        self._ask("flows")
        return self._with_runs(self._offered(q))

    def page_of_flows(
        self, *, q: str | None = None, after: str | None = None, limit: int, brief: bool = False, runs: bool = True
    ) -> Page[Flow]:
        """Return one page of `flows`, from the name `after` on. Only what is shown is looked up in the store."""
        self._ask("flows")
        age = 0.0 if after is None else _SAME_LIST_SECONDS
        flows, wanted = self._catalog.listing(max_age_seconds=age).flows, (q or "").casefold()
        start = 0 if after is None else bisect_right(flows, sort_key(after), key=lambda flow: sort_key(flow.name))
        offered = (flow for flow in flows[start:] if is_match(flow, wanted) and self._is_listed(flow))
        found = list(islice(offered, limit + 1))
        shown = tuple(flow.brief if brief else flow for flow in found[:limit])
        return Page[Flow](
            items=self._with_runs(shown) if runs else shown, next=shown[-1].name if len(found) > len(shown) else None
        )

    def version_of_flows(self) -> str:
        """Return a text that changes whenever a flow that the caller may see is added, changed or removed."""
        self._ask("flows")
        scope = json.dumps([self._rights.flows, bool(self._setting(settings.LIBRARY_FALLBACK))])
        return f"{self._catalog.listing().version}-{hashlib.sha256(scope.encode()).hexdigest()[:8]}"

    def flow_activity(self, *, recent: int = 12, names: Sequence[str] = ()) -> tuple[FlowActivity, ...]:
        """See `Api.flow_activity`."""
        self._ask("flow_activity")
        if not 1 <= recent <= _MAX_RECENT:
            raise MalformedRequest(f"recent is a number from 1 to {_MAX_RECENT}.", field="recent")
        if len(names) > PAGE_LIMIT:
            raise MalformedRequest(f"names has up to {PAGE_LIMIT} items.", field="names")
        flows = [one for one in self._named(names) if self._is_listed(one)] if names else self._offered(None)
        listed = [flow.name for flow in flows]
        newest = self._store.activity.of_flows(listed, each=recent)
        coming = self._store.schedules.next_runs(listed)
        return tuple(
            FlowActivity(
                flow_name=name,
                recent=newest.get(name, ()),
                median_seconds=_median_seconds(newest.get(name, ())),
                next_run=coming.get(name),
            )
            for name in listed
        )

    def _named(self, names: Sequence[str]) -> list[Flow]:
        """Return the flows of these names, sorted as the catalog sorts them. Reading a few takes no look at all."""
        found = []
        for name in sorted(set(names), key=sort_key):
            with contextlib.suppress(FlowNotFound, NameInvalid):
                found.append(self._catalog.flow(name))
        return found

    def execution_activity(self, *, hours: int = 24) -> ExecutionActivity:
        """See `Api.execution_activity`."""
        self._ask("execution_activity")
        if not 1 <= hours <= _MAX_HOURS:
            raise MalformedRequest(f"hours is a number from 1 to {_MAX_HOURS}.", field="hours")
        this_hour = self._store.now.replace(minute=0, second=0, microsecond=0)
        first = this_hour - timedelta(hours=hours - 1)
        return ExecutionActivity(
            buckets=self._store.activity.by_hour(first=first, hours=hours, flows=self._rights.flows)
        )

    def flow(self, name: str) -> Flow:
        """See `Api.flow`."""
        self._ask_flow("flow", name)
        flow = self._catalog.flow(name)
        if not self._is_offered(flow):
            raise FlowNotFound(name)
        return self._with_runs([flow])[0]

    def flow_source(self, name: str) -> str:
        """Return the current source of a flow. Only running flows call it."""
        if not self._is_offered(self._catalog.flow(name)):
            raise FlowNotFound(name)
        return self._catalog.snapshot(name).text

    def kernels(self) -> tuple[Kernel, ...]:
        """See `Api.kernels`."""
        self._ask("kernels")
        return kernels()

    def read_inputs(self, yaml: str) -> ReadInputs:
        """See `Api.read_inputs`."""
        self._ask("read_inputs")
        try:
            if len(yaml.encode(errors="replace")) > MAX_YAML_BYTES:
                raise ValueError(f"YAML has up to {MAX_YAML_BYTES // 1024} KiB here.")
            return ReadInputs(inputs=mapping(yaml))
        except ValueError as error:
            raise MalformedRequest(str(error), field="yaml") from error

    def dashboards(self) -> tuple[OwnDashboard, ...]:
        """See `Api.dashboards`."""
        self._ask("dashboards")
        return dashboards(self._catalog.workspace.dashboards)

    def create_flow(self, name: str, *, source: str | None = None, copy_of: str | None = None) -> Flow:
        """See `Api.create_flow`."""
        self._ask("create_flow")
        if (source is None) == (copy_of is None):
            raise MalformedRequest(
                "A new flow needs either its source or the name of the flow to copy.", field="source"
            )
        text = self._catalog.snapshot(copy_of).text if copy_of is not None else source
        assert text is not None
        flow = self._catalog.create(name, text)
        self._tell_of_flow(FLOW_CREATED, flow.name)
        return flow

    def change_flow(self, name: str, *, source: str | None = None, new_name: str | None = None) -> Flow:
        """See `Api.change_flow`."""
        self._ask("change_flow")
        if source is None and new_name is None:
            raise MalformedRequest("Changing a flow needs a new source or a new name.", field="source")
        with self._store.journal.together():  # one change at a time, across all servers
            flow = self._catalog.flow(name)
            if source is not None:
                flow = self._catalog.replace(name, source)
            if new_name is not None and new_name != name:
                flow = self._catalog.rename(name, new_name)
                self._store.schedules.rename_flow(name, flow.name)
                self._store.webhooks.rename_flow(name, flow.name)
            self._tell_of_flow(FLOW_CHANGED, flow.name, former_name=name if flow.name != name else None)
        return flow

    def delete_flow(self, name: str) -> None:
        """See `Api.delete_flow`."""
        self._ask("delete_flow")
        with self._store.journal.together():
            self._catalog.delete(name)
            self._tell_of_flow(FLOW_DELETED, name)

    def files(self, folder: str = ".", *, glob: str = "*") -> tuple[File, ...]:
        """See `Api.files`."""
        self._ask("files")
        return self._files.list(folder, glob)

    def file(self, path: str, *, with_content: bool = True) -> File:
        """See `Api.file`."""
        self._ask("file")
        return self._files.read(path, with_content=with_content)

    def save_file(self, path: str, content: bytes) -> File:
        """See `Api.save_file`."""
        self._ask("save_file")
        self._check_file(path)
        saved = self._files.write(path, content)
        self._tell_of_file(FILE_SAVED, saved.path, size=saved.size)
        return saved

    def delete_file(self, path: str) -> None:
        """See `Api.delete_file`."""
        self._ask("delete_file")
        self._check_file(path)
        self._files.delete(path)
        self._tell_of_file(FILE_DELETED, path)

    def _offered(self, q: str | None) -> list[Flow]:
        """Return the flows that the caller may see, sorted by name."""
        return [flow for flow in self._catalog.flows(q) if self._is_listed(flow)]

    def _is_listed(self, flow: Flow) -> bool:
        """Return whether lists for the caller have the flow."""
        return self._is_offered(flow) and self._rights.fits(flow.name)

    def _with_runs(self, flows: Sequence[Flow]) -> tuple[Flow, ...]:
        """Return flows with their last executions and their next run."""
        names = [flow.name for flow in flows]
        newest, coming = self._store.activity.briefs(names, each=_BRIEFS), self._store.schedules.next_runs(names)
        return tuple(
            flow.model_copy(update={"last_executions": newest.get(flow.name, ()), "next_run": coming.get(flow.name)})
            for flow in flows
        )

    def _tell_of_flow(self, event_type: str, name: str, *, former_name: str | None = None) -> None:
        told = {} if former_name is None else {"former_name": former_name}
        self._store.events.add(event_type, FLOW, name, user_name=self._user_name, **told)

    def _tell_of_file(self, event_type: str, path: str, **details: int) -> None:
        """Record which user changed a file, and for a flow which execution."""
        by = {} if self._parent_id is None else {"execution_id": self._parent_id}
        named = self.redaction.mask(PurePosixPath(path).as_posix())
        self._store.events.add(event_type, FILE, named, user_name=self._user_name, **details, **by)

    def _check_file(self, path: str) -> None:
        """Raise `PermissionDenied` if the file is in the flows folder and the caller may not write flows.

        Links are resolved, and case is ignored, because some file systems are case-insensitive.
        """
        if self._rights.may(Action.FLOW_WRITE):
            return
        flows, located = self._catalog.workspace.flows, self._files.located(path)
        named = PurePosixPath(path).parts[0].casefold()
        if named == flows.name or is_below(flows, located):
            self._rights.check(Action.FLOW_WRITE)

    @property
    def _files(self) -> WorkspaceFiles:
        return WorkspaceFiles(self._catalog.workspace.root)


def _median_seconds(recent: Sequence[RecentExecution]) -> float | None:
    done = [one for one in recent if one.status is Status.ENDED_SUCCESS]
    seconds = [(one.ended_at - one.started_at).total_seconds() for one in done if one.started_at and one.ended_at]
    return median(seconds) if seconds else None
