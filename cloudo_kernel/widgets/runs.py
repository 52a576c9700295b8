"""The widgets that run a flow and show a run."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from cloudo_kernel.widgets.view import View

if TYPE_CHECKING:
    from cloudo_kernel.api import Api
    from cloudo_kernel.flow_api import Execution

_log = logging.getLogger(__name__)


class ExecutionView(View):
    """One execution: status, outputs, log and notebook, live.

    >>> import cloudo_kernel as cloudo
    >>> from cloudo_kernel.widgets import ExecutionView
    >>> run = cloudo.connect().flow("reports/daily").run()
    >>> ExecutionView(run.id)
    """

    view = traitlets.Unicode("execution").tag(sync=True)
    #: Id of the execution.
    execution_id = traitlets.Unicode().tag(sync=True)

    def __init__(self, execution_id: str, *, api: Api | None = None, **traits: Any) -> None:
        """Connect, and show the execution with this id."""
        super().__init__(api, execution_id=execution_id, **traits)


class PlayButton(View):
    """A button that runs one flow and shows how it goes.

    >>> from cloudo_kernel.widgets import PlayButton
    >>> button = PlayButton("reports/daily", inputs={"n": 3})
    >>> button.on_end(lambda execution: print(execution.status, execution.outputs))
    >>> button
    """

    view = traitlets.Unicode("play").tag(sync=True)
    #: Name of the flow.
    flow = traitlets.Unicode().tag(sync=True)
    #: Inputs of the next run. The flow's defaults apply to what is left out.
    inputs = traitlets.Dict().tag(sync=True)
    #: The words on the button; empty for "Play" and the flow's title.
    label = traitlets.Unicode().tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)
    #: Id of the run that was started last, empty before the first one.
    execution_id = traitlets.Unicode().tag(sync=True)
    #: Its status, such as `RUNNING` or `ENDED_SUCCESS`; the page keeps it up to date.
    status = traitlets.Unicode().tag(sync=True)

    def __init__(
        self, flow: str, *, inputs: Mapping[str, Any] | None = None, api: Api | None = None, **traits: Any
    ) -> None:
        """Connect. The flow is looked up when the widget is shown."""
        self._at_end = ipywidgets.CallbackDispatcher()
        self._loop = _running_loop()
        super().__init__(api, flow=flow, inputs=dict(inputs or {}), **traits)

    def on_end(self, callback: Callable[[Execution], object], *, remove: bool = False) -> None:
        """Call `callback` with each execution that this button has started and that has ended, in whatever state.

        The kernel waits for the end itself, so it also calls after the page was closed. With `remove`, do not call it
        any more.
        """
        self._at_end.register_callback(callback, remove=remove)

    @traitlets.observe("execution_id")  # type: ignore[untyped-decorator]  # traitlets
    def _follow(self, change: Any) -> None:
        if change.new:
            threading.Thread(target=self._wait, args=(change.new,), name="cloudo-run", daemon=True).start()

    def _wait(self, execution_id: str) -> None:
        """Wait for the end, and report it in the kernel's own thread, where callbacks may do what cells may."""
        from cloudo_kernel.errors import CloudoError  # imported late, as everything that takes long

        try:
            status = self._api.wait(execution_id).status
        except CloudoError as error:
            _log.warning("The end of a widget's run is unknown", extra={"id": execution_id, "reason": str(error)})
            return
        if self._loop is None:
            self._tell_of_end(execution_id, status)
        else:
            self._loop.call_soon_threadsafe(self._tell_of_end, execution_id, status)

    def _tell_of_end(self, execution_id: str, status: str) -> None:
        from cloudo_kernel.flow_api import System

        if self.comm is None:  # closed
            return
        if self.execution_id == execution_id:
            self.status = status
        if self._at_end.callbacks:
            self._at_end(System(self._api).execution(execution_id))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class FlowForm(PlayButton):
    """The form of a flow's inputs, with a button that runs it. What is typed is in `inputs`, and the other way round.

    `inputs` holds the valid values, defaults included. Protected inputs are sent with the run, but are never in it.

    >>> from cloudo_kernel.widgets import FlowForm
    >>> form = FlowForm("reports/daily", inputs={"n": 3})
    >>> form.observe(lambda change: print(change.new), "inputs")
    >>> form
    """

    view = traitlets.Unicode("form").tag(sync=True)
    #: Whether all inputs are valid.
    is_valid = traitlets.Bool(False).tag(sync=True)


class ScheduleForm(View):
    """The schedules of one flow, and the dialog for a new one.

    >>> from cloudo_kernel.widgets import ScheduleForm
    >>> ScheduleForm("reports/daily")
    """

    view = traitlets.Unicode("plan").tag(sync=True)
    #: Name of the flow.
    flow = traitlets.Unicode().tag(sync=True)
    #: Ids of its schedules; the page keeps them up to date.
    schedules = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, flow: str, *, api: Api | None = None, **traits: Any) -> None:
        """Connect. The flow is looked up when the widget is shown."""
        super().__init__(api, flow=flow, **traits)
