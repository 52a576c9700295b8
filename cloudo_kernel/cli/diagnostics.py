"""Checks this installation and a workspace for problems, with hints. `cloudo doctor` prints the checks.

It repairs nothing and creates no workspace.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, entry_points, requires, version
from pathlib import Path
from typing import Final

from cloudo_kernel.discovery import connect, running_servers, server_of
from cloudo_kernel.errors import CloudoError, SecretLost
from cloudo_kernel.models import LoopHealth, Record
from cloudo_kernel.workspace.layout import Workspace

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]  # None on Windows

_KERNEL: Final = "cloudo"
_PROVISIONER: Final = "cloudo-provisioner"
_EXTENSION: Final = "cloudo_extension"
_ANEW: Final = f"{sys.executable} -m pip install --force-reinstall --no-deps cloudo"
#: Bytes. The path of a socket has up to 107, and `worker.socket_dirs` needs 42 of them.
_MAX_TEMPORARY: Final = 65
_MIN_FILES: Final = 1024
_GIGABYTE: Final = 1e9
_SCARCE, _FULL = 0.5 * _GIGABYTE, 0.02 * _GIGABYTE
_MAX_FLOWS: Final = 5
_PROBE: Final = 'def handler(system, this):\n    this.success("ran")\n'
_PROBE_SECONDS: Final = 120


class State(StrEnum):
    """The outcome of a check."""

    WELL = "well"
    WARNING = "warning"
    PROBLEM = "problem"


class Check(Record):
    """The result for one part."""

    part: str
    state: State
    message: str
    #: The remedy, usually a command.
    hint: str | None = None


def examine(workspace: Workspace | None) -> Iterator[Check]:
    """Check one part after another. Without a workspace, check only the installation."""
    for part, look in _INSTALLATION:
        yield from _looked(part, look)
    if workspace is None:
        message, hint = f"No workspace at or above {Path.cwd()}.", "cloudo up FOLDER"
        yield Check(part="workspace", state=State.WARNING, message=message, hint=hint)
    else:
        found = list(_looked("workspace", lambda: _workspace(workspace)))
        yield from found
        if all(check.state is not State.PROBLEM for check in found):
            yield from _looked("server", lambda: _server(workspace))
            yield from _looked("loops", lambda: _loops(workspace))
            yield from _looked("flows", lambda: _flows(workspace))
    yield from _looked("run", _run)


#: The findings about one part, each with state, message and hint.
Look = Iterator[tuple[State, str, str | None]]


def _looked(part: str, look: Callable[[], Look]) -> Iterator[Check]:
    try:
        for state, message, hint in look():
            yield Check(part=part, state=state, message=message, hint=hint)
    except CloudoError as error:
        yield Check(part=part, state=State.PROBLEM, message=str(error))
    except Exception as error:  # noqa: BLE001 -- a check that fails is a finding itself
        yield Check(part=part, state=State.PROBLEM, message=f"{type(error).__name__}: {error}")


def _python() -> Look:
    found = f"Python {'.'.join(map(str, sys.version_info[:3]))} on {sys.platform}, {sys.prefix}"
    if sys.platform != "linux":
        yield (
            State.WARNING,
            f"{found}: each run takes seconds to start; Linux would fork it.",
            None,
        )
    else:
        yield State.WELL, f"{found}.", None


def _packages() -> Look:
    from packaging.requirements import Requirement

    needed = [Requirement(text) for text in requires("cloudo") or ()]
    wrong = False
    for requirement in needed:
        is_for_samples = requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})
        if is_for_samples and not (requirement.marker and requirement.marker.evaluate({"extra": "examples"})):
            continue
        if fault := _fault(requirement.name, str(requirement.specifier), requirement.specifier.contains):
            wrong = True
            why = f"{fault}; the sample flows need it." if is_for_samples else f"{fault}."
            hint = f"{sys.executable} -m pip install '{requirement.name}{requirement.specifier}'"
            yield State.WARNING if is_for_samples else State.PROBLEM, why, hint
    if not wrong:
        yield State.WELL, f"Cloudo {version('cloudo')} and the {len(needed)} packages that it requires.", None


def _fault(name: str, wanted: str, fits: Callable[[str], bool]) -> str | None:
    try:
        found = version(name)
    except PackageNotFoundError:
        return f"{name} is not installed"
    return None if fits(found) else f"{name} is {found}, but must be {wanted}"


def _kernel() -> Look:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec(_KERNEL)
    except NoSuchKernel:
        yield (
            State.PROBLEM,
            f"Jupyter does not find the kernel `{_KERNEL}`, which flows need for `this` and `system`.",
            _ANEW,
        )
        return
    if spec.metadata.get("kernel_provisioner", {}).get("provisioner_name") != _PROVISIONER:
        message = f"{spec.resource_dir} is another kernel with the same name, and hides Cloudo's."
        yield State.PROBLEM, message, f"jupyter kernelspec remove {_KERNEL}"
    elif not any(point.name == _PROVISIONER for point in entry_points(group="jupyter_client.kernel_provisioners")):
        yield State.PROBLEM, f"Jupyter does not know the provisioner of the kernel `{_KERNEL}` ({_PROVISIONER}).", _ANEW
    else:
        yield State.WELL, f"`{_KERNEL}`, {spec.resource_dir}.", None


def _extension() -> Look:
    from jupyter_core.paths import jupyter_config_path
    from jupyter_server.extension.config import ExtensionConfigManager

    if ExtensionConfigManager(read_config_path=jupyter_config_path()).enabled(_EXTENSION):
        yield State.WELL, "Every Jupyter server of this installation has Cloudo.", None
    else:
        message = f"Jupyter's configuration switches {_EXTENSION} off: only the servers of `cloudo up` have Cloudo."
        yield State.WARNING, message, f"jupyter server extension enable {_EXTENSION}"


def _system() -> Look:
    folder = tempfile.gettempdir()
    if len(os.fsencode(folder)) > _MAX_TEMPORARY:
        message = f"The path of the temporary folder {folder} is too long for the sockets of kernels."
        yield State.PROBLEM, message, "TMPDIR=/tmp, in the environment"
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if resource is not None else _MIN_FILES
    if 0 <= files < _MIN_FILES:
        yield (
            State.WARNING,
            f"A process may open only {files} files. Many parallel runs need more.",
            "ulimit -n 4096",
        )
    yield from _room(Path(folder))


def _room(folder: Path) -> Look:
    free = shutil.disk_usage(folder).free
    words = f"{free / _GIGABYTE:.1f} GB are free in {folder}."
    if free < _SCARCE:
        yield State.PROBLEM if free < _FULL else State.WARNING, words, "Free some space on that disk."
    else:
        yield State.WELL, words, None


def _workspace(workspace: Workspace) -> Look:
    if not workspace.root.is_dir():
        yield State.PROBLEM, f"There is no folder {workspace.root}.", f"cloudo up {workspace.root}"
        return
    places = (workspace.root, workspace.flows, workspace.executions, workspace.state)
    for place in [place for place in places if place.exists() and not os.access(place, os.W_OK | os.X_OK)]:
        yield State.PROBLEM, f"You may not write to {place}.", "Choose another folder, or change its permissions."
    for place, mode in ((workspace.state, 0o700), (workspace.key_file, 0o600)):
        if place.exists() and place.stat().st_mode & 0o077:
            message = f"Other users may read {place}, which holds secrets."
            yield State.WARNING, message, f"chmod {mode:o} {place}"
    yield from _room(workspace.root)
    if workspace.state.is_dir():
        connect(workspace.root).health()  # raises if the store is unusable: damaged, or on a network file system
        yield from _key(workspace)


def _key(workspace: Workspace) -> Look:
    if workspace.key_file.exists():
        return
    from cloudo_kernel.store import Store

    with closing(Store.open(workspace.database_url, key_file=workspace.key_file)) as store:
        try:
            store.encryption.check()
        except SecretLost as error:
            yield State.PROBLEM, str(error), None


def _server(workspace: Workspace) -> Look:
    if (server := server_of(workspace)) is None:
        yield from _no_server(workspace)
        return
    health = connect(workspace.root).health()
    if health.version != version("cloudo"):
        message = f"{server['url']} runs Cloudo {health.version}, and {version('cloudo')} is installed."
        yield State.WARNING, message, "Restart it."
    if health.workers == 0:
        yield State.PROBLEM, f"{server['url']} has no worker: new executions stay pending.", "cloudo worker"
    else:
        words = f"{server['url']}, workers: {health.workers}, running: {health.running}, pending: {health.pending}."
        yield State.WELL, words, None
    if health.queue_paused:
        yield State.WARNING, f"The queue is paused: {health.pending} pending.", "cloudo queue resume"
    if health.overdue_schedules:
        yield State.WARNING, f"Overdue schedules: {health.overdue_schedules}.", "cloudo schedules"


def _no_server(workspace: Workspace) -> Look:
    """Warn about a Jupyter server of this folder without Cloudo, and about overdue schedules. No server is fine."""
    others = [one["url"] for one in running_servers() if Path(one["root_dir"]).resolve() == workspace.root]
    if others:
        message = f"{others[0]} is a Jupyter server of this folder, but it has no Cloudo (yet) or does not answer."
        yield State.WARNING, message, "Restart it, or run: cloudo up"
    else:
        yield State.WELL, f"None runs for {workspace.root}; `cloudo up {workspace.root}` starts one.", None
        if workspace.state.is_dir() and (late := connect(workspace.root).health().overdue_schedules):
            yield State.WARNING, f"Overdue schedules: {late}.", f"cloudo up {workspace.root}"


def _loops(workspace: Workspace) -> Look:
    """Check the background loops of the server and of the workers, process by process."""
    if not workspace.state.is_dir():
        return
    of_process: dict[str, list[LoopHealth]] = {}
    for loop in connect(workspace.root).health().loops:
        name = "server" if loop.worker_id is None else f"worker {loop.worker_id}"
        of_process.setdefault(f"{name} (process {loop.pid})", []).append(loop)
    for name, loops in of_process.items():
        for loop in loops:
            if not loop.alive:
                yield State.PROBLEM, f"{name}: the loop {loop.name} has died ({loop.error}).", loop.hint
            elif loop.stuck:
                yield State.PROBLEM, f"{name}: the loop {loop.name} is stuck for {loop.idle_seconds:g} s.", loop.hint
            elif loop.error is not None:
                message = f"{name}: the loop {loop.name} fails and is retried ({loop.error})."
                yield State.WARNING, message, "The log of this process has the reason."
        well = [f"{loop.name} {loop.idle_seconds:g} s" for loop in loops if not (loop.hint or loop.error)]
        if well:
            yield State.WELL, f"{name}, seconds since the last turn: {', '.join(well)}.", None


def _flows(workspace: Workspace) -> Look:
    if not workspace.state.is_dir():
        yield State.WELL, f"None yet: {workspace.root} has not been used.", None
        return
    flows = connect(workspace.root).flows()
    broken = [flow for flow in flows if flow.broken]
    for flow in broken[:_MAX_FLOWS]:
        yield State.WARNING, f"{flow.name} is broken: {flow.broken}", None
    if len(broken) > _MAX_FLOWS:
        yield State.WARNING, f"and {len(broken) - _MAX_FLOWS} more are broken.", "cloudo flows"
    yield State.WELL, f"{len(flows) - len(broken)} can be run.", None


def _run() -> Look:
    """Run a flow in a temporary workspace, as a user would from a shell."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUDO_", "JPY_"))}
    with tempfile.TemporaryDirectory(prefix="cloudo-doctor-") as folder:
        workspace = Workspace(Path(folder).resolve())
        workspace.create()
        (workspace.flows / "probe.py").write_text(_PROBE)
        command = [sys.executable, "-m", "cloudo_kernel", "--workspace", folder, "run", "probe", "--json"]
        began = time.monotonic()
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=_PROBE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            yield State.PROBLEM, f"A flow that does nothing did not end within {_PROBE_SECONDS} s.", None
            return
        seconds = time.monotonic() - began
        if done.returncode == 0 and json.loads(done.stdout)["message"] == "ran":
            yield State.WELL, f"A flow ran in a kernel; the command took {seconds:.1f} s.", None
        else:
            yield State.PROBLEM, f"A flow that does nothing did not run.\n{done.stderr.strip()}", None


_INSTALLATION: Final[tuple[tuple[str, Callable[[], Look]], ...]] = (
    ("python", _python),
    ("packages", _packages),
    ("kernel", _kernel),
    ("extension", _extension),
    ("system", _system),
)
