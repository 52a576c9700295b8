"""The magics of `%load_ext cloudo_kernel`: run and list flows from a cell. `system` does the work."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from IPython.core.error import UsageError

from cloudo_kernel.cells.connection import system_of
from cloudo_kernel.cli.values import input_value, inputs_of
from cloudo_kernel.errors import ResourceNotFoundError
from cloudo_kernel.flow_api import Execution, Flow, Schedule, System
from cloudo_kernel.models import FlowSource
from cloudo_kernel.scheduling import humanize, triggers, zones

#: The words of `%schedule` about the schedule. All others are inputs of the flow.
_WHEN = {kind.options[0].names[0].removeprefix("--"): kind for kind in triggers.KINDS}
_RULES = ("timezone", "wait", "max_iterations", "overlap", "confirmed")
#: Marks the start of a part of a cell, as in Jupytext's percent format, and the title of the parameters cell.
_PART = "# %%"
_PARAMETERS = "parameters"


class CloudoMagics:
    """The magics of one shell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def register(self) -> None:
        """Register the magics with the shell."""
        self._shell.register_magic_function(self.flow, magic_kind="line_cell", magic_name="flow")
        magics: tuple[Callable[[str], Any], ...] = (self.flows, self.executions, self.schedule)
        for magic in magics:
            self._shell.register_magic_function(magic, magic_kind="line", magic_name=magic.__name__)

    @property
    def _system(self) -> System:
        return system_of(self._shell)

    def flow(self, line: str, cell: str | None = None) -> Execution | None:
        """Run a flow and wait until it has succeeded: `%flow NAME key=value …`.

        With a cell, `%%flow NAME` saves the cell as a flow of the workspace. A line `# %% parameters` begins the
        parameters cell, and the next line `# %%` begins the next cell.
        """
        name, words = _split(line, "%flow NAME key=value")
        if cell is None:
            flow = self._system.flow(name)
            return flow.run(_inputs(words, flow.get("input_schema")))
        if words:
            raise UsageError(f"%%flow takes a name alone, not {' '.join(words)}. Quote a name with spaces.")
        self._save(name, _notebook(cell))
        return None

    def flows(self, line: str) -> tuple[Flow, ...]:
        """List the flows, or those with a text in their name, title or tags: `%flows sales`."""
        return self._system.flows(line.strip() or None)

    def executions(self, line: str) -> tuple[Execution, ...]:
        """List the newest executions, or those of one flow: `%executions reports/daily`."""
        flow = shlex.split(line)
        return self._system.executions(limit=20, **({"flow_name": flow[0]} if flow else {}))

    def schedule(self, line: str) -> Schedule:
        """Create a schedule: `%schedule NAME daily=08:30 timezone=Europe/Vienna key=value …`.

        Its time is one of `at`, `in`, `every`, `daily`, `monthly` and `cron`. Further options are `timezone`, `start`,
        `wait`, `max_iterations`, `overlap` and `confirmed`. All other words are inputs of the flow.
        """
        name, words = _split(line, "%schedule NAME daily=08:30 key=value")
        given: dict[str, str] = {}
        inputs = []
        for word in words:
            key, _, text = word.partition("=")
            if key in _WHEN or key in _RULES or key == "start":
                given[key] = text
            else:
                inputs.append(word)
        flow = self._system.flow(name)
        rules = {key: input_value(given[key], {}) for key in _RULES if key in given}
        when = self._when(given)
        return self._system.schedule(flow, inputs=_inputs(inputs, flow.get("input_schema")), **when, **rules)

    def _when(self, given: dict[str, str]) -> dict[str, Any]:
        """Return the time as arguments of `system.schedule`."""

        def moment(text: str) -> datetime | str:
            return self._moment(text, given.get("timezone"))

        when = {kind.word: kind.read(given[key], moment=moment) for key, kind in _WHEN.items() if key in given}
        return {**when, "start": moment(given["start"])} if "start" in given else when

    def _moment(self, text: str, timezone: str | None) -> datetime | str:
        try:
            datetime.fromisoformat(text)
        except ValueError:
            zone = zones.zone(timezone or self._system.preview(delay_seconds=0).timezone)
            return humanize.moment(text, zone, now=datetime.now(zone))
        return text

    def _save(self, name: str, source: str) -> None:
        """Save a flow of the workspace, replacing an existing one."""
        api = self._system.api
        if not hasattr(api, "create_flow"):
            raise UsageError("A running flow cannot save flows: %%flow is for notebooks by hand.")
        try:
            is_there = api.flow(name).source is FlowSource.WORKSPACE
        except ResourceNotFoundError:
            is_there = False
        saved = api.change_flow(name, source=source) if is_there else api.create_flow(name, source=source)
        print(f"Saved as the flow {saved.name!r}.")  # noqa: T201 -- the output of the cell


def _split(line: str, usage: str) -> tuple[str, list[str]]:
    try:
        name, *words = shlex.split(line)
    except ValueError as error:  # no words, or an unclosed quote
        raise UsageError(f"Usage: {usage}") from error
    return name, words


def _inputs(words: Sequence[str], schema: dict[str, Any]) -> dict[str, Any]:
    try:
        return inputs_of(words, schema)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _notebook(cell: str) -> str:
    """Return the JSON text of a notebook whose cells are the parts of `cell`."""
    import nbformat

    parts: list[tuple[str, list[str]]] = [("", [])]
    for line in cell.splitlines():
        if line.startswith(_PART):
            parts.append((line.removeprefix(_PART).strip(), []))
        else:
            parts[-1][1].append(line)
    made = nbformat.v4.new_notebook()
    made.metadata["kernelspec"] = {"name": "cloudo", "display_name": "Cloudo", "language": "python"}
    for title, lines in parts:
        if source := "\n".join(lines).strip("\n"):
            tags = {"tags": [_PARAMETERS]} if title == _PARAMETERS else {}
            made.cells.append(nbformat.v4.new_code_cell(source, metadata=tags))
    return str(nbformat.writes(made))
