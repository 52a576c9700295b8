"""The magics of `%load_ext cloudo_kernel`: run and list flows from a cell. `system` does the work."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import click
from IPython.core.error import UsageError

from cloudo_kernel.cells import new_flow
from cloudo_kernel.cells.connection import system_of
from cloudo_kernel.cli.values import input_value, inputs_of
from cloudo_kernel.errors import ResourceNotFoundError
from cloudo_kernel.flow_api import Execution, Flow, Schedule, System
from cloudo_kernel.flow_api.calls import is_whole
from cloudo_kernel.models import FlowSource
from cloudo_kernel.scheduling import triggers

#: Options of `cloudo schedule` without a value.
_SWITCHES = ("--yes", "--grid", "--pin", "--no-pin", "--json", "--help", "-h")
#: Words of `%schedule` that are options without a value, if false and if true.
_SHORT: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {"wait": (("--grid",), ()), "confirmed": ((), ("--yes",))}


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
        parameters cell, and the next line `# %%` begins the next cell. Names of the notebook that the cell uses become
        inputs and imports: they are listed first, and `%%flow NAME --save` saves the flow with them.
        """
        name, words = _split(line, "%flow NAME key=value")
        if cell is None:
            flow = self._system.flow(name)
            return flow.run(_inputs(words, flow.get("input_schema")))
        if words not in ([], ["--save"]):
            raise UsageError(f"%%flow takes a name and --save, not {' '.join(words)}. Quote a name with spaces.")
        made = new_flow.read(cell, self._shell.user_ns)
        if made.is_changed and not words:
            print(new_flow.in_words(made, name))  # noqa: T201 -- the output of the cell
            return None
        self._save(name, made.notebook)
        return None

    def flows(self, line: str) -> tuple[Flow, ...]:
        """List the flows, or those with a text in their name, title or tags: `%flows sales`."""
        return self._system.flows(line.strip() or None)

    def executions(self, line: str) -> tuple[Execution, ...]:
        """List the newest executions, or those of one flow: `%executions reports/daily`."""
        flow = shlex.split(line)
        return self._system.executions(limit=20, **({"flow_name": flow[0]} if flow else {}))

    def schedule(self, line: str) -> Schedule | None:
        """Create a schedule: `%schedule NAME --daily 08:30 --timezone Europe/Vienna key=value …`.

        The options are those of `cloudo schedule`; `%schedule --help` prints them. They can also be written as
        `daily=08:30`. All other words are inputs of the flow.
        """
        from cloudo_kernel.cli import schedule as command
        from cloudo_kernel.cli.schedule_options import coming, request_of, schedule_fields, trigger_of
        from cloudo_kernel.models import CreateSchedule, PreviewSchedule

        api = self._system.api
        name, words = _split(line, "%schedule NAME --daily 08:30 key=value")
        try:
            given = command.schedule.make_context("%schedule", [name, *_flags(words)]).params
            trigger, flow_name = trigger_of(api, given), given["flow_name"]
            zone = {} if given["timezone"] is None else {"timezone": given["timezone"]}
            preview = api.preview_schedule(PreviewSchedule(trigger=trigger, **zone))
            if preview.notes and not given["yes"]:
                raise UsageError(f"{' '.join(preview.notes)} {coming(preview, trigger)} Confirm with --yes.")
            fields = {**zone, **schedule_fields(api, flow_name, given), "trigger": trigger, "confirmed": True}
            made = api.create_schedule(request_of(CreateSchedule, {"flow_name": flow_name, **fields}))
        except click.exceptions.Exit:  # after --help
            return None
        except click.ClickException as error:
            raise UsageError(error.format_message()) from error
        return Schedule(api, made, is_watched=api.health().workers > 0)

    def _save(self, name: str, source: str) -> None:
        """Save a flow of the workspace, replacing an existing one."""
        api = self._system.api
        if not is_whole(api):
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


def _flags(words: Iterable[str]) -> Iterator[str]:
    """Yield the words of `%schedule` as options of the shell: `daily=08:30` is `--daily 08:30`, `n=1` is `-p n=1`."""
    options = {kind.options[0].names[0].removeprefix("--") for kind in triggers.KINDS} | {
        "start",
        "timezone",
        "overlap",
    }
    is_value = False
    for word in words:
        key, equals, value = word.partition("=")
        if is_value or not equals or word.startswith("-"):
            # `--in 10m` has its value in the next word, `--yes`, `--grid` and `--in=10m` have none there.
            is_value = not is_value and word.startswith("-") and not equals and word not in _SWITCHES
            yield word
        elif key in options or key == "max_iterations":
            yield from (f"--{key.replace('_', '-')}", value)
        elif key in _SHORT:
            yield from _SHORT[key][input_value(value, {}) is True]
        else:
            yield from ("-p", word)


def _inputs(words: Sequence[str], schema: dict[str, Any]) -> dict[str, Any]:
    try:
        return inputs_of(words, schema)
    except ValueError as error:
        raise UsageError(str(error)) from error
