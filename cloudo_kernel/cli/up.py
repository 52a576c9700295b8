"""`cloudo up|worker`: start a Jupyter server with Cloudo (the server itself is in `server`), or a worker alone."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudo_kernel.cli.target import DASHBOARD, LAB, Target, open_browser, page_url, pass_target
from cloudo_kernel.cli.values import jupyter_flags
from cloudo_kernel.settings import LINGER_SECONDS

if TYPE_CHECKING:
    from cloudo_kernel.workspace.layout import Workspace


@click.command(
    context_settings={"ignore_unknown_options": True},
    options_metavar="[WORKSPACE] [--lab] [FLAGS OF JUPYTER SERVER]",
)
@click.option("--lab", "is_lab", is_flag=True, help="Open JupyterLab instead of the dashboard.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="")
@click.pass_obj
def up(target: Target, words: Sequence[str], *, is_lab: bool) -> None:
    """Start Jupyter with Cloudo and open the dashboard.

    WORKSPACE is a folder, and is created if it does not exist. The default is --workspace, then CLOUDO_WORKSPACE, then
    the nearest folder from here upwards with `.cloudo/`, then the current folder. The flags of `jupyter server` work,
    too; --help-all lists them.

    \b
    cloudo up
    cloudo up ~/reports --port 8899 --no-browser
    cloudo up --lab --IdentityProvider.token=secret
    cloudo up --ip 0.0.0.0 --allow-root               in a container

    The API explorer for programs is at `cloudo/explorer` on the server.

    Ctrl-C and SIGTERM stop the server. Running executions are cancelled, and queued ones stay in the queue for the next
    start. A second Ctrl-C stops it at once.
    """
    from cloudo_kernel.cli import server
    from cloudo_kernel.discovery import server_of

    flags, rest = jupyter_flags(words, server.SWITCHES)
    if len(rest) > 1:
        raise click.UsageError(f"Give one workspace, not {len(rest)}: {', '.join(rest)}.")
    if {"--help-all", "--version"} & set(flags):
        server.serve(Path.cwd(), flags, page=DASHBOARD)  # prints and exits, so it needs no workspace
        return
    workspace = _workspace(target, rest)
    page = LAB if is_lab else DASHBOARD
    if running := server_of(workspace):
        url = page_url(running["url"], page, running["token"])
        click.echo(f"Cloudo is already running on {workspace.root}:\n\n  {url}\n")
        if "--no-browser" not in flags:
            open_browser(url, workspace.state / "open.html")
        return
    server.serve(workspace.root, flags, page=page)


def _workspace(target: Target, rest: Sequence[str]) -> Workspace:
    """Return the workspace after creating its folders. Raises `Unavailable` if it is not writable."""
    from cloudo_kernel.errors import Unavailable, WorkspaceNotFound
    from cloudo_kernel.workspace.layout import Workspace

    named = Path(rest[0]) if rest else target.workspace
    if named is not None:
        workspace = Workspace(named.expanduser().resolve())
    else:
        try:
            workspace = Workspace.find()
        except WorkspaceNotFound:
            workspace = Workspace(Path.cwd())
    try:
        workspace.create()
    except OSError as error:
        raise Unavailable(f"The workspace {workspace.root} cannot be created: {error.strerror}.") from error
    if not os.access(workspace.state, os.W_OK | os.X_OK):
        raise Unavailable(f"You may not write to {workspace.state}. Choose another folder, or change its permissions.")
    return workspace


@click.command()
@click.option("--slots", type=click.IntRange(min=1), help="Maximum number of executions to run at once.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME",
    help="Also run flows that require this label, such as gpu. May be repeated.",
)
@click.option(
    "--executor", default="local", show_default=True, metavar="NAME", help="What runs the executions, if installed."
)
@click.option(
    "--dask-address",
    default="",
    metavar="ADDRESS",
    help="Scheduler of the Dask cluster for `--executor dask`, such as tls://scheduler:8786. Default: a local cluster.",
)
@click.option(
    "--preload",
    metavar="MODULE,…",
    help="Import these modules once, before any notebook runs. Default: numpy,pandas,matplotlib.pyplot.",
)
@click.option(
    "--linger",
    type=click.FloatRange(min=0),
    default=LINGER_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Time for which a waiting durable execution keeps its processes.",
)
@click.option(
    "--drain",
    "drained",
    metavar="WORKER",
    help="Start none. Have this worker take nothing more and end once what it runs has ended; wait for that.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="How to write the log, on standard error.  [env: CLOUDO_LOG_FORMAT]  Default: text.",
)
@pass_target
def worker(
    target: Target,
    *,
    slots: int | None,
    labels: Sequence[str],
    executor: str,
    dask_address: str,
    preload: str | None,
    linger: float,
    drained: str | None,
    log_format: str | None,
) -> None:
    """Run queued executions without a server.

    It runs until Ctrl-C or SIGTERM, which end its executions in an orderly way. The server of `cloudo up` has a worker
    of its own. More workers take executions from the same queue, also on other machines with CLOUDO_DATABASE_URL.

    \b
    cloudo worker --slots 2
    cloudo worker --label gpu
    cloudo worker --drain host-a:4711
    """
    if target.url is not None:
        raise click.UsageError("A worker needs the workspace, not a server. Give --workspace instead of --url.")
    workspace = target.folder()
    if drained is not None:
        from cloudo_kernel.worker.drain import drain

        for line in drain(workspace, drained):
            click.echo(line)
        return
    from cloudo_kernel.json_log import format_of_environment, log_as_json
    from cloudo_kernel.models.labels import labels_of
    from cloudo_kernel.processes.zygotes import PRELOAD
    from cloudo_kernel.worker.executors import check
    from cloudo_kernel.worker.worker import run

    check(executor, field="--executor", slots=slots, address=dask_address)

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    if (log_format or format_of_environment()) == "json":
        log_as_json()
    ready = f"This worker runs the executions of {workspace.root}. Ctrl-C ends it."
    modules = PRELOAD if preload is None else [name.strip() for name in preload.split(",") if name.strip()]
    is_whole = run(
        workspace,
        slots=slots,
        labels=labels_of(labels, field="--label"),
        executor=executor,
        dask_address=dask_address,
        preload=modules,
        linger_seconds=linger,
        on_ready=lambda: click.echo(ready),
    )
    if not is_whole:
        raise click.ClickException("A part of the worker has failed; see the lines above. Start the worker again.")
    click.echo("The worker has ended.")
