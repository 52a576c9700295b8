"""`cloudo flows|kernels`: list the flows, and the kernels that run them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from cloudo_kernel.cli import display
from cloudo_kernel.cli.listing import print_list
from cloudo_kernel.cli.target import Target, json_option, pass_target

if TYPE_CHECKING:
    from cloudo_kernel.models import Flow, JsonObject, Kernel


@click.command()
@click.argument("filter_text", metavar="[TEXT]", default="")
@json_option("the flows")
@pass_target
def flows(target: Target, filter_text: str, *, as_json: bool) -> None:
    """List the flows that can be run.

    A flow is a notebook below the workspace's folder `flows/`, or one of the library that comes with Cloudo. With
    TEXT, only those with TEXT in their name, title or a tag are listed. Inputs are shown with their defaults. An input
    without a default is required.

    \b
    cloudo flows
    cloudo flows sales
    cloudo flows --json | jq -r '.[].name'
    """
    found = target.connect().flows(q=filter_text or None)
    if filter_text:
        empty = f"No flow has {filter_text!r} in its name, title or tags. `cloudo flows` lists them all."
    else:
        empty = _nothing(target)
    print_list(found, ("NAME", "TITLE", "SOURCE", "INPUTS"), _row, empty=empty, as_json=as_json)


@click.command()
@json_option("the kernels")
@pass_target
def kernels(target: Target, *, as_json: bool) -> None:
    """List the kernels that flows can run in.

    These are `cloudo`, which has `this` and `system`, and the kernelspecs of the server's machine. A flow names its
    kernel in its notebook, or below `cloudo` in the notebook's metadata. A start can choose another one.

    \b
    cloudo kernels
    cloudo run examples/greeting -p name=Ada --kernel python3
    """

    def row(one: Kernel) -> tuple[str, ...]:
        return display.clean(one.name), display.value(one.title), display.value(one.language)

    found = target.connect().kernels()
    print_list(found, ("NAME", "TITLE", "LANGUAGE"), row, empty="No kernels.", as_json=as_json)


def _row(flow: Flow) -> tuple[str, ...]:
    inputs = display.clean(_inputs(flow.input_schema))
    if flow.broken is not None:
        inputs = click.style(f"broken: {display.value(flow.broken)}", fg="red")
    return display.clean(flow.name), display.value(flow.title, limit=50), flow.source.value, inputs


def _inputs(schema: JsonObject) -> str:
    """Return the inputs in the form of a function's parameters."""
    shown = []
    for name, declared in schema.get("properties", {}).items():
        default = declared.get("x-default")
        if "default" in declared:
            default = json.dumps(declared["default"], ensure_ascii=False)
        shown.append(name if default is None else f"{name}={display.value(default, limit=24)}")
    return ", ".join(shown) or ("any" if schema.get("additionalProperties") else "none")


def _nothing(target: Target) -> str:
    from cloudo_kernel.errors import WorkspaceNotFound

    try:
        place = str(target.folder().flows) if target.url is None else "the server's folder flows"
    except WorkspaceNotFound:
        place = "the server's folder flows"
    return (
        f"No flows yet. Put a notebook into {place}; tag a cell `parameters` to give it inputs.\n"
        "Samples to copy come with Cloudo, unless the setting client.flow.library.fallback is false."
    )
