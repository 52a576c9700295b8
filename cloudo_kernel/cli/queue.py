"""`cloudo queue`: show, pause and resume the queue of executions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudo_kernel.cli import display
from cloudo_kernel.cli.target import Target, json_option, pass_target, target_options

if TYPE_CHECKING:
    from cloudo_kernel.models import QueueState


@click.group()
@target_options
def queue() -> None:
    """Show, pause and resume the queue.

    While it is paused nothing starts, also after a restart. Running executions go on.

    \b
    cloudo queue pause
    cloudo queue show
    cloudo queue resume
    """


@queue.command()
@json_option("the queue")
@pass_target
def show(target: Target, *, as_json: bool) -> None:
    """Show the number of pending executions, and whether the queue is paused."""
    _tell(target.connect().queue(), as_json=as_json)


@queue.command()
@json_option("the queue")
@pass_target
def pause(target: Target, *, as_json: bool) -> None:
    """Pause the queue."""
    _tell(target.connect().pause_queue(), as_json=as_json)


@queue.command()
@json_option("the queue")
@pass_target
def resume(target: Target, *, as_json: bool) -> None:
    """Resume the queue."""
    _tell(target.connect().resume_queue(), as_json=as_json)


def _tell(found: QueueState, *, as_json: bool) -> None:
    text = f"{'paused' if found.paused else 'running'}, pending: {found.pending}"
    display.print_record(found, text, as_json=as_json)
