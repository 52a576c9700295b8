"""`cloudo doctor`: check this installation and a workspace for problems."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from cloudo_kernel.cli import display
from cloudo_kernel.cli.target import Target, json_option, pass_target

if TYPE_CHECKING:
    from cloudo_kernel.cli.diagnostics import Check
    from cloudo_kernel.workspace.layout import Workspace

_COLOURS = {"well": "green", "warning": "yellow", "problem": "red"}
_INDENT = 21


@click.command()
@json_option("the checks")
@pass_target
def doctor(target: Target, *, as_json: bool) -> int:
    """Check this installation and workspace for problems.

    The checks cover Python and packages, the kernel, the server's extension, the temporary folder and disk, and the
    workspace with its server, background loops and flows. At the end, a small flow runs in a temporary folder. Each
    problem comes with a hint; nothing is changed.

    \b
    cloudo doctor
    cloudo doctor --workspace ~/reports
    cloudo doctor --json | jq '.[] | select(.state != "well")'

    The exit code is 1 if there is a problem; warnings alone leave it 0.
    """
    from cloudo_kernel.cli.diagnostics import examine

    if target.url is not None:
        raise click.UsageError("The doctor checks this machine, not a remote server. Leave --url out.")
    found = []
    for check in examine(_workspace(target)):
        found.append(check)
        if not as_json:
            click.echo(_told(check))
    counted = Counter(check.state.value for check in found)
    if as_json:
        display.print_json(found)
    else:
        click.echo(f"\n{_summary(counted)}")
    return 1 if counted["problem"] else 0


def _workspace(target: Target) -> Workspace | None:
    from cloudo_kernel.errors import WorkspaceNotFound
    from cloudo_kernel.workspace.layout import Workspace

    if target.workspace is not None:
        return Workspace(target.workspace.expanduser().resolve())
    try:
        return Workspace.find()
    except WorkspaceNotFound:
        return None


def _told(check: Check) -> str:
    state = click.style(f"{check.state.value:<8}", fg=_COLOURS[check.state.value])
    lines = display.clean(check.message).splitlines()
    if check.hint is not None:
        lines.append(f"hint: {display.clean(check.hint)}")
    return f"{state}  {check.part:<9}  " + f"\n{'':{_INDENT}}".join(lines)


def _summary(counted: Counter[str]) -> str:
    if not counted["problem"] and not counted["warning"]:
        return "All is well."
    words = [
        f"{counted[word]} {word}{'s' if counted[word] > 1 else ''}" for word in ("problem", "warning") if counted[word]
    ]
    return " and ".join(words) + "."
