"""`cloudo up`: start a Jupyter server on a workspace and open the dashboard. The server itself is in `server`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudo_kernel.cli.target import Target
from cloudo_kernel.cli.values import jupyter_flags

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

    WORKSPACE is a folder; it is made if it is not there. Without it: the one that --workspace, CLOUDO_WORKSPACE or a
    folder `.cloudo/` from here upwards names, else the current folder. The flags of `jupyter server` are taken too;
    --help-all lists them.

    \b
    cloudo up
    cloudo up ~/reports --port 8899 --no-browser
    cloudo up --lab --IdentityProvider.token=secret
    cloudo up --ip 0.0.0.0 --allow-root               in a container

    What programs can ask of the server is at `cloudo/explorer` below its address, to read and to try.

    Ctrl-C and SIGTERM stop the server. What runs then ends as cancelled; what waits in the queue stays there for the
    next start. A second Ctrl-C does not wait for that.
    """
    from cloudo_kernel.cli import pages, server
    from cloudo_kernel.discovery import server_of

    flags, rest = jupyter_flags(words, server.SWITCHES)
    if len(rest) > 1:
        raise click.UsageError(f"One workspace at a time, not {len(rest)}: {', '.join(rest)}.")
    if {"--help-all", "--version"} & set(flags):
        server.serve(Path.cwd(), flags, page=pages.DASHBOARD)  # prints and exits, so it needs no workspace
        return
    workspace = _workspace(target, rest)
    page = pages.LAB if is_lab else pages.DASHBOARD
    if running := server_of(workspace):
        url = pages.page_url(running["url"], page, running["token"])
        click.echo(f"Cloudo is running already on {workspace.root}:\n\n  {url}\n")
        if "--no-browser" not in flags:
            pages.open_browser(url, workspace.state / "open.html")
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
        raise Unavailable(f"No workspace can be made of {workspace.root}: {error.strerror}.") from error
    if not os.access(workspace.state, os.W_OK | os.X_OK):
        raise Unavailable(f"You may not write to {workspace.state}. Take another folder, or the right to write there.")
    return workspace
