"""Runs notebooks as a papermill engine, with progress reports, throttled saves, and early ends without an error."""

from __future__ import annotations

import json
import math
import signal
import time
from typing import TYPE_CHECKING, Any, Protocol

import zmq
from nbclient.client import timestamp
from nbclient.exceptions import CellExecutionComplete, CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager

from cloudo_kernel.errors import ExecutionEnded
from cloudo_kernel.security.redaction import PROTECTED
from cloudo_kernel.workspace.catalog.notebook import INJECTED

if TYPE_CHECKING:
    from cloudo_kernel.processes.channel import Channel
    from cloudo_kernel.runner.kernel_connection import KernelConnection

#: Maximum time to wait for the last outputs after a cell's reply; large ones take long.
_OUTPUT_TIMEOUT_SECONDS = 600
#: From the interrupt of a cell that exceeds its limit to the kill of its kernel.
_GRACE_SECONDS = 5.0
#: Poll interval for whether a silent kernel is still alive.
_ALIVE_MS = 100
#: The beginning of the traceback of an exception group.
_GROUP = "  + Exception Group Traceback"
#: The mask of a protected value, as papermill writes it.
_ESCAPED = json.dumps(PROTECTED).strip('"')


class Run(Protocol):
    """The parts of a run that the engine needs; implemented by the runner."""

    channel: Channel
    kernel: KernelConnection
    kernel_name: str
    language: str
    cell_timeout_seconds: float | None
    is_stopping: bool

    def start_kernel(self) -> None:
        """Start the kernel in the flow's folder."""

    def save(self, notebook: NotebookNode, *, now: bool = False) -> None:
        """Save the executed notebook; without `now`, only if the last save was not just now."""

    def assign_hidden(self) -> None:
        """Give the kernel the inputs that the notebook must not show."""

    def save_late(self) -> None:
        """Save a notebook that was held back; called while the kernel is silent."""


class CellTooLong(Exception):
    """A cell that took longer than its limit, and was interrupted."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The cell took longer than its limit of {seconds:g} s and was interrupted.")


class CloudoEngine(Engine):
    """The engine of one run, registered with papermill as `cloudo`."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._progress: _Progress | None = None

    def execute_notebook(self, notebook: NotebookNode, kernel_name: str, **_options: Any) -> NotebookNode:
        """Execute every cell; called by `papermill.execute_notebook` with the parameters injected."""
        # papermill puts the whole notebook there if it gets no path.
        notebook.metadata.papermill["input_path"] = None
        for cell in notebook.cells:
            if INJECTED in cell.metadata.get("tags", ()):
                cell.source = cell.source.replace(_ESCAPED, PROTECTED)
        progress = self._progress = _Progress(notebook, self._run)
        progress.notebook_start()
        try:
            self._run.start_kernel()
            _Client(progress, self._run.kernel, kernel_name).execute()
        finally:
            # The kernel may end while the notebook is checked and saved.
            self._run.kernel.ask_to_end()
            progress.notebook_complete()
        return progress.nb if progress.has_failed else _without_expected_errors(progress.nb)

    def nb_kernel_name(self, _notebook: NotebookNode, _name: str | None = None) -> str:
        """Return the kernel that the catalog chose for the flow."""
        return self._run.kernel_name

    def nb_language(self, _notebook: NotebookNode, _language: str | None = None) -> str:
        """Return the language of the kernel, in which papermill writes the parameters."""
        return self._run.language

    @property
    def notebook(self) -> NotebookNode:
        """The notebook with its outputs so far."""
        assert self._progress is not None, "papermill calls the engine before it can raise"
        return self._progress.nb

    @property
    def current_cell(self) -> int | None:
        """Index of the cell that runs, or ran last."""
        return None if self._progress is None else self._progress.current_cell

    def how_kernel_ended(self, error: DeadKernelError) -> str:
        """Describe how the kernel's process ended, or why the kernel was given up."""
        code = self._run.kernel.exit_code
        if code is None:
            return str(error)
        if code < 0:
            return f"The kernel was killed by {signal.Signals(-code).name}."
        return f"The kernel exited with code {code}."


class _Progress(NotebookExecutionManager):
    """Counts code cells, reports them to the worker, and has the notebook saved."""

    def __init__(self, notebook: NotebookNode, run: Run) -> None:
        super().__init__(notebook, progress_bar=False)
        self.run = run
        self.current_cell: int | None = None
        self._total = sum(cell.cell_type == "code" for cell in notebook.cells)
        self._done = 0
        #: First line of the cell that runs, or ran last.
        self._first_line: str | None = None
        #: Whether a cell failed that was not expected to.
        self.has_failed = False

    def notebook_start(self, **kwargs: Any) -> None:
        """Save the notebook before its first cell, and report progress."""
        super().notebook_start(**kwargs)
        self.run.save(self.nb, now=True)
        self.run.channel.tell("progress", **self._so_far())

    def cell_start(self, cell: NotebookNode, cell_index: int | None = None, **kwargs: Any) -> None:
        """Report the cell that is about to run; pause before it if that is requested."""
        super().cell_start(cell, cell_index, **kwargs)
        if cell.cell_type == "code":
            self.current_cell = cell_index
            self._first_line = next((line[:80] for line in cell.source.splitlines() if line.strip()), None)
            if self.run.channel.call("at_cell", **self._so_far()):
                self._pause()

    def _pause(self) -> None:
        """Save the notebook, and stay between two cells until the pause ends."""
        self.run.save(self.nb, now=True)
        if self.run.channel.call("pause"):
            while not self.run.channel.call("may_go_on"):  # the worker answers within a second
                if not self.run.kernel.is_alive:
                    raise DeadKernelError("The kernel died.")

    def cell_exception(self, cell: NotebookNode, cell_index: int | None = None, **kwargs: Any) -> None:
        """Note that the cell failed."""
        super().cell_exception(cell, cell_index, **kwargs)
        self.has_failed = True

    def cell_complete(self, cell: NotebookNode, cell_index: int | None = None, **kwargs: Any) -> None:
        """Count the cell."""
        super().cell_complete(cell, cell_index, **kwargs)
        if cell.cell_type == "code" and cell.metadata.papermill["status"] == self.COMPLETED:
            self._done += 1

    def notebook_complete(self, **kwargs: Any) -> None:
        """Report the final progress."""
        self.run.channel.tell("progress", **self._so_far())
        super().notebook_complete(**kwargs)

    def autosave_cell(self, **_kwargs: Any) -> None:
        """Save while a cell runs, so that users see its outputs so far."""
        self.run.save(self.nb)

    def save(self, **_kwargs: Any) -> None:
        """Save, unless the last save was just now."""
        self.run.save(self.nb)

    def _so_far(self) -> dict[str, Any]:
        return {"done": self._done, "total": self._total, "cell": self._first_line}


class _Client(PapermillNotebookClient):
    """An nbclient for an existing kernel. It ends early without an error when the flow says so."""

    def __init__(self, progress: _Progress, kernel: KernelConnection, kernel_name: str) -> None:
        super().__init__(
            progress,
            kernel_name=kernel_name,
            timeout=None,
            iopub_timeout=_OUTPUT_TIMEOUT_SECONDS,
        )
        self.kc = kernel.client
        self._kernel = kernel
        #: Index of the cell that runs.
        self._index = 0
        self._poller = zmq.Poller()
        for channel in (self.kc.iopub_channel, self.kc.shell_channel):
            self._poller.register(channel.socket, zmq.POLLIN)

    def execute(self, **_options: Any) -> NotebookNode:
        """Run the cells."""
        self.nb.metadata["language_info"] = self._kernel.language_info
        self.papermill_execute_cells()
        self.set_widgets_metadata()
        return self.nb

    def papermill_execute_cells(self) -> None:
        """Run the cells in order until the last one, an error, or an end that the flow declares."""
        for index, cell in enumerate(self.nb.cells):
            self._index = index
            self.nb_man.cell_start(cell, index)
            try:
                self.execute_cell(cell, index)
                if INJECTED in cell.metadata.get("tags", ()):
                    self.nb_man.run.assign_hidden()
            except CellExecutionError as error:
                if error.ename != ExecutionEnded.__name__:
                    _show(error, cell)
                    self.nb_man.cell_exception(cell, cell_index=index, exception=error)
                break
            except (DeadKernelError, CellTooLong):
                self.nb_man.cell_exception(cell, cell_index=index)
                raise
            finally:
                self.nb_man.cell_complete(cell, cell_index=index)

    async def _async_poll_for_reply(
        self, msg_id: str, cell: NotebookNode, _timeout: int | None, _outputs: object, _life: object
    ) -> dict[str, Any]:
        """Read the kernel's messages until the cell has its reply and all its outputs.

        nbclient uses three tasks of an event loop for this, which cost more than most cells.
        """
        reply: dict[str, Any] | None = None
        is_idle, end = False, math.inf
        limit = _Limit(self.nb_man.run.cell_timeout_seconds, self._kernel)
        while reply is None or not is_idle:
            limit.check()
            ready = dict(self._poller.poll(_ALIVE_MS))
            if self.kc.iopub_channel.socket in ready:
                is_idle |= self._is_last(self.kc.iopub_channel.get_msg(), msg_id, cell)
            if self.kc.shell_channel.socket in ready:
                message = self.kc.shell_channel.get_msg()
                if message["parent_header"].get("msg_id") == msg_id:
                    cell.metadata["execution"]["shell.execute_reply"] = timestamp(message)
                    reply, end = message, time.monotonic() + self.iopub_timeout
            if not ready:
                self.nb_man.run.save_late()
                if not self._kernel.is_alive:
                    raise DeadKernelError("The kernel died.")
            if time.monotonic() > end:
                raise CellTimeoutError.error_from_timeout_and_cell(
                    "Timeout waiting for IOPub output", self.iopub_timeout, cell
                )
        limit.check_reply()
        return reply

    async def _check_raise_for_error(
        self, cell: NotebookNode, cell_index: int, exec_reply: dict[str, Any] | None
    ) -> None:
        """Raise the error, unless the cell is tagged `raises-exception` and the error does not end the run."""
        content = exec_reply["content"] if exec_reply else {}
        is_end = content.get("ename") == ExecutionEnded.__name__ or self.nb_man.run.is_stopping
        if content.get("status") == "error" and is_end:
            raise CellExecutionError.from_cell_and_msg(cell, content)
        await super()._check_raise_for_error(cell, cell_index, exec_reply)

    def _is_last(self, message: dict[str, Any], asked: str, cell: NotebookNode) -> bool:
        """Process an output; return whether it says that the cell is done."""
        if message["parent_header"].get("msg_id") != asked:
            return False
        try:
            self.process_message(message, cell, self._index)
        except CellExecutionComplete:
            return True
        return False

    async def _async_poll_output_msg(self, *_given: object) -> None:
        """Do nothing: `_async_poll_for_reply` reads the outputs."""

    async def _async_poll_kernel_alive(self) -> None:
        """Do nothing: `_async_poll_for_reply` checks the kernel."""


class _Limit:
    """The time limit of a cell. After it the kernel is interrupted, and killed if it does not react."""

    def __init__(self, seconds: float | None, kernel: KernelConnection) -> None:
        self._seconds = seconds or math.inf
        self._kernel = kernel
        self._end = time.monotonic() + self._seconds
        self._is_over = False

    def check(self) -> None:
        """Interrupt the kernel after the limit. Kills it and raises `CellTooLong` if that has no effect."""
        if time.monotonic() < self._end:
            return
        if self._is_over:
            self._kernel.kill()
            raise CellTooLong(self._seconds)
        self._is_over = True
        self._end = time.monotonic() + _GRACE_SECONDS
        self._kernel.interrupt()

    def check_reply(self) -> None:
        """Raise `CellTooLong` if the cell ended after the interrupt, with an error or without one."""
        if self._is_over:
            raise CellTooLong(self._seconds)


def _without_expected_errors(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook that was run to its end, without the cells tagged `raises-exception`.

    papermill checks it for errors and takes each one for a failure, although nbclient goes on after such a cell.
    """
    cells = [cell for cell in notebook.cells if "raises-exception" not in cell.metadata.get("tags", ())]
    return NotebookNode({**notebook, "cells": cells})


def _show(error: CellExecutionError, cell: NotebookNode) -> None:
    """Add a missing error to the outputs of its cell: of an exception group, IPython only prints the traceback."""
    if any(output.output_type == "error" for output in cell.outputs):
        return
    printed = [output for output in cell.outputs if output.get("name") == "stderr"]
    before, mark, after = "".join(output.text for output in printed).rpartition(_GROUP)
    if mark:
        cell.outputs = [output for output in cell.outputs if output not in printed]
        cell.outputs += [new_output("stream", name="stderr", text=before)] if before else []
    traceback = f"{mark}{after}".splitlines()
    cell.outputs.append(new_output("error", ename=error.ename, evalue=error.evalue, traceback=traceback))
