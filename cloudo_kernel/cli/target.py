"""The server or workspace that the global options select: the connection to its `Api`, and the URLs of its pages."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

import click

if TYPE_CHECKING:
    from cloudo_kernel.api import Api
    from cloudo_kernel.discovery import FoundServer
    from cloudo_kernel.models import Execution
    from cloudo_kernel.workspace.layout import Workspace

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

#: Pages below the server's base URL.
DASHBOARD = "cloudo/"
LAB = "lab"


@dataclass
class Target:
    """The global options that were given. `connect` reads their environment variables."""

    workspace: Path | None = None
    url: str | None = None
    token: str | None = None

    def connect(self, *, keep_running: bool = False) -> Api:
        """Return the `Api` of the server or the workspace; see `cloudo_kernel.discovery.connect`."""
        from cloudo_kernel.discovery import connect
        from cloudo_kernel.models import Origin

        if self.url is not None and self.workspace is not None:
            raise click.UsageError("--url and --workspace name two places. Give one of them.")
        return connect(self.url or self.workspace, token=self.token, trigger=Origin.CLI, keep_running=keep_running)

    def server(self) -> FoundServer | None:
        """Return the server that `connect` uses, None if it uses the store itself."""
        from cloudo_kernel.discovery import find_server

        return find_server(self.url or self.workspace, token=self.token)

    def folder(self) -> Workspace:
        """Return the workspace. Raises `WorkspaceNotFound`."""
        from cloudo_kernel.workspace.layout import Workspace

        return Workspace.at(self.workspace)

    def notebook(self, record: Execution) -> str | None:
        """Return a path that opens the executed notebook from the current folder, else the record's path."""
        from cloudo_kernel.errors import WorkspaceNotFound

        if record.notebook is None or self.url is not None:
            return record.notebook
        try:
            path = self.folder().root / record.notebook
        except WorkspaceNotFound:
            return record.notebook
        here = Path.cwd()
        if not path.exists():
            return record.notebook
        return str(path.relative_to(here) if path.is_relative_to(here) else path)


def target_options(command: Decorated) -> Decorated:
    """Add --workspace, --url and --token, which can stand before or after the command's name."""

    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        target = context.ensure_object(Target)
        if value is not None:
            setattr(target, str(parameter.name), value)

    def check_url(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise click.BadParameter("give the server's address with http:// or https://.")
        keep(context, parameter, value)

    options = (
        click.option(
            "--workspace",
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            help="The folder with `flows/`.  [env: CLOUDO_WORKSPACE]",
            expose_value=False,
            callback=keep,
        ),
        click.option(
            "--url",
            metavar="URL",
            help="A Jupyter server with Cloudo.  [env: CLOUDO_URL]",
            expose_value=False,
            callback=check_url,
        ),
        click.option(
            "--token",
            help="The token of that server.  [env: CLOUDO_TOKEN]",
            expose_value=False,
            callback=keep,
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def pass_target(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `target_options`, and pass the target to the command."""
    return target_options(click.pass_obj(command))


def json_option(what: str) -> Callable[[Decorated], Decorated]:
    """Return the option --json for a command that prints `what`."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what} as JSON, and nothing else.")


def page_url(base: str, page: str, token: str | None) -> str:
    """Return the URL of a page, with the token if there is one."""
    url = f"{base.rstrip('/')}/{page}"
    return f"{url}?{urlencode({'token': token})}" if token else url


def open_browser(url: str, redirect: Path) -> None:
    """Open a page through a redirecting file, because every user can see the arguments of a program."""
    import webbrowser  # imports subprocess

    redirect.touch(mode=0o600)
    redirect.write_text(f'<!doctype html><meta http-equiv="refresh" content="0; url={html.escape(url)}">')
    webbrowser.open(redirect.as_uri())
