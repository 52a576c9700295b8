"""Runs one execution's notebook with papermill, in its own process.

It is forked warm from a zygote (`standby`, before there is anything to run), or started cold as
`python -m cloudo_kernel.runner RUNNER_FD KERNEL_FD LIFELINE_FD FOLDER`. It gets only a folder for sockets and three
descriptors: its channel to the worker, the kernel's channel, and its lifeline.
On SIGUSR1 it interrupts its kernel, and kills it after a grace time.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudo_kernel.models import ErrorDetail, Status
from cloudo_kernel.processes import iri_grammar, lifeline, priority
from cloudo_kernel.processes.channel import Channel
from cloudo_kernel.security.redaction import Redaction, without_secrets
from cloudo_kernel.workspace import atomic_write

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from cloudo_kernel.runner.kernel_connection import KernelConnection

#: From the interrupt of a kernel to its kill.
GRACE_SECONDS = 5.0
#: Bounds of the interval between saves of the executed notebook, apart from the start and the end. Within them the
#: interval is this multiple of the time that the last save took: saving takes up to a fiftieth of a run.
_MIN_SAVE_SECONDS = 0.2
_MAX_SAVE_SECONDS = 1.0
_SAVE_REST = 50

#: Hints for errors of the libraries, by name of the error.
_HINTS = {
    "NoSuchKernel": ". `jupyter kernelspec list` shows the kernels of this machine: "
    "choose one of them in the notebook, or install the one that is missing."
}

_TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Stopped(BaseException):
    """A stop was requested before there was a kernel to interrupt."""


class Run:
    """One run of one notebook."""

    def __init__(self, channel: Channel, kernel: KernelConnection) -> None:
        """Ask the worker for the assignment, and wait until there is one."""
        self.channel = channel
        self.kernel = kernel
        #: Whether a cell may run now, so that a stop has to interrupt the kernel.
        self._has_kernel = False
        #: Whether a stop was requested.
        self.is_stopping = False
        signal.signal(signal.SIGUSR1, lambda _signal, _frame: self._stop())
        assignment = channel.call("begin")
        #: A notebook's JSON text, or a script that defines a handler.
        self._source: str = assignment["source"]
        #: The inputs as anyone may see them, and the values of those that are hidden.
        self._inputs: dict[str, Any] = assignment["inputs"]
        self._hidden_inputs: dict[str, Any] = assignment["hidden_inputs"]
        self._redaction = Redaction()
        self.kernel_name: str = assignment["kernel"]
        self._folder: str = assignment["folder"]
        self._memory_limit_mb: int | None = assignment["memory_limit_mb"]
        self.cell_timeout_seconds: float | None = assignment["cell_timeout_seconds"]
        self._is_report: bool = assignment["report_mode"]
        self._path = Path(assignment["notebook"])
        self._saved_at = 0.0
        self._save_interval_seconds = _MIN_SAVE_SECONDS
        self._unsaved: NotebookNode | None = None

    def execute(self) -> None:
        """Run the notebook and tell the worker how it ended."""
        import nbformat
        from nbclient.exceptions import DeadKernelError
        from papermill import PapermillExecutionError, execute_notebook
        from papermill.engines import papermill_engines

        from cloudo_kernel.runner.papermill_engine import CellTooLong, CloudoEngine
        from cloudo_kernel.workspace.catalog import as_notebook, is_handler, language_of, notebook

        if is_script := is_handler(self._source):
            self._source = as_notebook(self._source)
        self._book = notebook.parse(self._source)
        self.language = language_of(self.kernel_name, self._book)
        engine = CloudoEngine(self)
        papermill_engines.register("cloudo", engine)
        try:
            execute_notebook(
                nbformat.reads(json.dumps(self._book.document), as_version=4),
                None,
                # A handler gets its inputs from `this`; as variables they could replace its own names.
                parameters={} if is_script else self._injectable(self._inputs),
                engine_name="cloudo",
                kernel_name=self.kernel_name,
                # papermill needs it for the parameters cell before it asks the engine, and a notebook may not name it.
                language=self.language,
                report_mode=self._is_report,
                progress_bar=False,
            )
        except PapermillExecutionError as error:
            # papermill marks the failing cell with two markdown cells before it
            self.save(engine.notebook, now=True)
            self._report_error(error.ename, error.evalue, error.cell_index + 2, error.traceback)
        except DeadKernelError as error:
            self.save(engine.notebook, now=True)
            how = engine.how_kernel_ended(error)
            detail = _detail("KernelDied", how, engine.current_cell, self.kernel.last_words())
            self._report_end(Status.ENDED_ERROR, how, detail)
        except CellTooLong as error:
            self.save(engine.notebook, now=True)
            detail = ErrorDetail(name="CellTimeout", value=str(error), cell=engine.current_cell)
            self._report_end(Status.ENDED_ERROR, f"CellTimeout: {error}", detail)
        else:
            self.save(engine.notebook, now=True)
            self._report_end(Status.ENDED_SUCCESS)

    def declines(self) -> bool:
        """Ask the worker for a cold start if the flow would notice the preloaded modules; return whether it would."""
        from cloudo_kernel.processes import preloaded
        from cloudo_kernel.workspace.catalog import is_handler, notebook

        sources: list[str] = []
        if preloaded.is_suspicious(self._source):
            is_script = is_handler(self._source)
            cells = [] if is_script else notebook.parse(self._source).cells
            code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
            sources = [self._source] if is_script else code
        reason = preloaded.reason_against(sources, self._folder)
        if reason is not None:
            self.channel.call("decline", reason=reason)
        return reason is not None

    def fail(self, error: BaseException) -> None:
        """Report that the notebook could not be run at all."""
        name = type(error).__name__
        self._report_error(name, f"{error}{_HINTS.get(name, '')}", None, [])

    def start_kernel(self) -> None:
        """Start the kernel in the flow's folder."""
        self.kernel.start(self.kernel_name, self._folder)
        self.channel.tell("kernel_started", group=self.kernel.group)
        if self._memory_limit_mb is not None:
            self.kernel.limit_memory(self._memory_limit_mb)
        self._has_kernel = True

    def save(self, notebook: NotebookNode, *, now: bool = False) -> None:
        """Save the executed notebook as a whole file; without `now`, not too soon after the last save."""
        self._unsaved = notebook
        if now or time.monotonic() - self._saved_at >= self._save_interval_seconds:
            self._write(notebook)

    def save_late(self) -> None:
        """Save a notebook that came too soon after the last save; called while the kernel is silent."""
        if self._unsaved is not None and time.monotonic() - self._saved_at >= self._save_interval_seconds:
            self._write(self._unsaved)

    def _write(self, notebook: NotebookNode) -> None:
        began = time.monotonic()
        redacted = without_secrets(notebook, self._current_secrets())
        text = json.dumps(redacted, indent=1, ensure_ascii=False) + "\n"
        # Before the first cell, the store has everything that is in it.
        atomic_write.write_over(self._path, text, is_synced=self._saved_at > 0)
        self._saved_at = time.monotonic()
        wanted = _SAVE_REST * (self._saved_at - began)
        self._save_interval_seconds = min(max(wanted, _MIN_SAVE_SECONDS), _MAX_SAVE_SECONDS)
        self._unsaved = None

    def _current_secrets(self) -> Redaction:
        """Return all current secrets: the worker notes each one before the kernel gets it."""
        self._redaction.add_texts(self.channel.call("secrets", known=len(self._redaction.texts())))
        return self._redaction

    def _report_error(self, name: str, value: str, cell: int | None, traceback: list[str]) -> None:
        """Report an error. The worker masks secrets, too, but would not recognize one that is cut here."""
        value = self._current_secrets().mask(value)
        self._report_end(Status.ENDED_ERROR, f"{name}: {_first_line(value)}", _detail(name, value, cell, traceback))

    def _report_end(self, status: Status, message: str | None = None, error: ErrorDetail | None = None) -> None:
        detail = None if error is None else error.model_dump(mode="json")
        self.channel.call("found", status=status, message=message, error=detail)

    def assign_hidden(self) -> None:
        """Give the kernel the inputs that the notebook must not show; called after the cell with the other inputs."""
        from papermill.translators import papermill_translators

        if hidden := self._injectable(self._hidden_inputs):
            translator = papermill_translators.find_translator(self.kernel_name, self.language)
            self.kernel.execute_silently(translator.codify(hidden))

    def _injectable(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return the inputs that become variables: the declared ones or, without a parameters cell, all valid ones."""
        from cloudo_kernel.runner.injection import variables
        from cloudo_kernel.workspace.catalog import input_schema

        try:
            schema = input_schema(self._book.parameters if self.language == "python" else None)
        except SyntaxError:  # a cell in another language, started in a Python kernel
            schema = input_schema(None)
        is_open, declared = schema["additionalProperties"], schema["properties"]
        chosen = {name: value for name, value in inputs.items() if is_open or name in declared}
        return variables(chosen, self.kernel_name, self.language)

    def _stop(self) -> None:
        """Handle SIGUSR1, on the main thread, between two steps of the code that runs there."""
        if not self._has_kernel:
            raise Stopped
        self.is_stopping = True
        self.kernel.interrupt()
        timer = threading.Timer(GRACE_SECONDS, self.kernel.kill)
        timer.daemon = True
        timer.start()


def _detail(name: str, value: str, cell: int | None, traceback: list[str]) -> ErrorDetail:
    lines = [line for block in traceback for line in _TERMINAL_COLOURS.sub("", block).split("\n")]
    return ErrorDetail(name=name, value=value[:20_000], cell=cell, traceback=tuple(lines[-2_000:]))


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0][:500]


def preload() -> None:
    """Import the modules that a run needs; called before processes are forked."""
    import nbformat
    from nbformat import v4

    import cloudo_kernel.runner.injection
    import cloudo_kernel.runner.papermill_engine
    import cloudo_kernel.workspace.catalog  # noqa: F401 -- a run imports it, and the two above
    from cloudo_kernel.runner import kernel_connection

    kernel_connection.preload()
    # The first validation of a notebook compiles the validator.
    nbformat.validate(v4.new_notebook(cells=[v4.new_code_cell("pass")]))


def standby(channel: int, kernel_channel: int, folder: str) -> None:
    """Fork a kernel, then run the assignment of the worker; called in a process that a zygote forked."""
    from cloudo_kernel.processes import fork
    from cloudo_kernel.runner.kernel_connection import KernelConnection

    priority.yield_to_the_server()
    kernel = KernelConnection(kernel_channel, Path(folder))
    fork.name_process("cloudo-standby")
    try:
        kernel.fork()
        worker = Channel(channel)
        _run(worker, kernel, is_warm=True)
    finally:
        kernel.close()
    # Everything is done and reported: the worker need not wait for the exit of this process.
    worker.close()


def main(runner_descriptor: int, kernel_descriptor: int, lifeline_descriptor: int, folder: Path) -> None:
    """Run the assignment of the worker at the other end of the channel."""
    lifeline.hold(lifeline_descriptor)
    priority.yield_to_the_server()
    os.set_inheritable(kernel_descriptor, False)
    iri_grammar.leave_out()
    from cloudo_kernel.runner.kernel_connection import KernelConnection

    kernel = KernelConnection(kernel_descriptor, folder)
    try:
        _run(Channel(runner_descriptor), kernel)
    finally:
        kernel.close()


def _run(channel: Channel, kernel: KernelConnection, *, is_warm: bool = False) -> None:
    from cloudo_kernel.processes import fork

    try:
        run = Run(channel, kernel)
        if is_warm:
            fork.name_process("cloudo-run")
        try:
            if not (is_warm and run.declines()):
                run.execute()
        except Exception as error:  # noqa: BLE001 -- any error belongs into the execution's record
            run.fail(error)
    except Stopped:
        kernel.kill()
