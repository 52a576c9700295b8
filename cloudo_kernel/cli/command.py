"""The group of all commands, and the exit codes of their errors.

Slow imports are inside the commands that need them, so that `cloudo --help` does not wait for them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

import click

from cloudo_kernel.cli.backfill import backfill
from cloudo_kernel.cli.database import db
from cloudo_kernel.cli.doctor import doctor
from cloudo_kernel.cli.execution import cancel, delete, executions, log, open_page, pause, resume, show
from cloudo_kernel.cli.flow import flows, kernels
from cloudo_kernel.cli.message import answer, messages
from cloudo_kernel.cli.queue import queue
from cloudo_kernel.cli.result import results
from cloudo_kernel.cli.run import INTERRUPTED, retry, run
from cloudo_kernel.cli.schedule import schedule, schedules
from cloudo_kernel.cli.setting import settings
from cloudo_kernel.cli.target import target_options
from cloudo_kernel.cli.token import token, tokens
from cloudo_kernel.cli.up import up, worker
from cloudo_kernel.cli.webhook import webhook, webhooks
from cloudo_kernel.errors import CloudoError
from cloudo_kernel.processes import iri_grammar


class _InOrder(click.Group):
    """Lists the commands in the order of `_COMMANDS`, in which users come to need them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cloudo", message="cloudo %(version)s")
@target_options
def cloudo() -> None:
    """Every notebook a flow, every run a durable, visible execution.

    \b
    cloudo up                                    the dashboard, in the browser
    cloudo flows                                 list the flows
    cloudo run examples/greeting -p name=Ada     run it and print the outcome
    cloudo executions                            list the executions
    cloudo schedule examples/greeting --in 10m   run it later, or repeatedly
    cloudo messages                              messages and questions of flows
    cloudo doctor                                find problems, with hints

    The commands talk to the server that `cloudo up` runs for this workspace. Without a server they use the workspace
    directly, and run the executions that they start. The workspace is --workspace or CLOUDO_WORKSPACE, else the
    nearest folder from here upwards with `.cloudo/`. With --json, a command prints only JSON.
    """


_COMMANDS = (
    *(up, flows, kernels, run, executions, show, open_page, log, results),
    *(cancel, pause, resume, retry, delete),
    *(schedule, schedules, messages, answer, webhooks, webhook, settings, tokens, token, queue, worker, db, doctor),
)

for command in _COMMANDS:
    cloudo.add_command(command)
schedules.add_command(backfill)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    iri_grammar.leave_out()  # `cloudo up` becomes a server
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # do not fail if the terminal cannot show a character
    try:
        code = cloudo.main(
            arguments,
            prog_name="cloudo",
            standalone_mode=False,
            color=False if os.environ.get("NO_COLOR") else None,  # https://no-color.org
        )
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except CloudoError as error:
        click.echo(f"Error: {error}", err=True)
        return 1
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has closed the pipe: `cloudo flows | head`. Without this, Python would fail again when it flushes
        # on exit. click does the same for its own output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code if isinstance(code, int) else 0
