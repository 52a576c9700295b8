"""`cloudo worker`: run queued executions without a server."""

from __future__ import annotations

import logging

import click

from cloudo_kernel.cli.target import Target, target_options
from cloudo_kernel.settings import LINGER_SECONDS


@click.command()
@click.option("--slots", type=click.IntRange(min=1), help="Run so many executions at once, at most.")
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
    help="Let a durable execution that waits keep its processes so long.",
)
@target_options
@click.pass_obj
def worker(target: Target, *, slots: int | None, preload: str | None, linger: float) -> None:
    """Run what is in the queue, without a server.

    It goes on until Ctrl-C or SIGTERM, which end what runs in good order. The server of `cloudo up` has a worker of
    its own; another one takes executions from the same queue, with CLOUDO_DATABASE_URL on another machine too.

    \b
    cloudo worker --slots 2
    """
    if target.url is not None:
        raise click.UsageError("A worker needs the workspace, not a server. Give --workspace instead of --url.")
    workspace = target.folder()
    from cloudo_kernel.processes.zygotes import PRELOAD
    from cloudo_kernel.worker.worker import run

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    ready = f"This worker runs the executions of {workspace.root}. Ctrl-C ends it."
    modules = PRELOAD if preload is None else [name.strip() for name in preload.split(",") if name.strip()]
    is_whole = run(workspace, slots=slots, preload=modules, linger_seconds=linger, on_ready=lambda: click.echo(ready))
    if not is_whole:
        raise click.ClickException("A part of the worker has died; the lines above say which. Start the worker again.")
    click.echo("The worker has ended.")
