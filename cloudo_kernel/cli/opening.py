"""`cloudo open`: open an execution in the browser."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import click

from cloudo_kernel.cli.execution import find
from cloudo_kernel.cli.pages import DASHBOARD, LAB, open_browser, page_url
from cloudo_kernel.cli.target import Target, target_options


@click.command(name="open")
@click.argument("execution_id", metavar="ID")
@click.option("--lab", "is_lab", is_flag=True, help="Open its executed notebook in JupyterLab instead.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@target_options
@click.pass_obj
def open_page(target: Target, execution_id: str, *, is_lab: bool, no_browser: bool) -> None:
    """Open an execution in the browser.

    That is its page in the dashboard, or its executed notebook in JupyterLab.

    \b
    cloudo open 5c1f09ab
    cloudo open 5c1f09ab --lab
    """
    from cloudo_kernel.errors import NotebookNotFound, Unavailable

    api = target.connect()
    record = api.execution(find(api, execution_id))
    if is_lab and record.notebook is None:
        raise NotebookNotFound(record.id)
    if (server := target.server()) is None:
        raise Unavailable(f"No server runs that has a page of it. Start one with `cloudo up {target.folder().root}`.")
    page = f"{LAB}/tree/{quote(record.notebook or '')}" if is_lab else f"{DASHBOARD}executions/{record.id}"
    address = page_url(server.url, page, server.token)
    click.echo(address)
    if not no_browser:
        from jupyter_core.paths import jupyter_runtime_dir  # only this user can enter that folder

        folder = Path(jupyter_runtime_dir())
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        open_browser(address, folder / "cloudo-open.html")
