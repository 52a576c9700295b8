"""What the documents name is there, and what the code has is in the documents."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from pydantic import BaseModel
from tornado.web import RequestHandler

import cloudo_extension.rest
import cloudo_kernel
from cloudo_kernel import errors, flow_api, models, settings, widgets
from cloudo_kernel.cli.command import cloudo
from cloudo_kernel.errors.http_status import status_of
from cloudo_kernel.models import StartExecution, event_types
from cloudo_kernel.scheduling import humanize, zones
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.documents import NAMES, ROOT, blocks, prose, resolve, rows, spans, text_of

# --- what is named -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(name)):
        if re.match(r"https?:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), f"{name} links to {target}"
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{name} links to {target}"


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_modules_files_and_names_exist(name: str) -> None:
    modules = {module.name for module in pkgutil.iter_modules(cloudo_kernel.__path__)}
    words = {value for key, value in vars(event_types).items() if key.isupper() and isinstance(value, str)}
    for span in spans(name):
        head = re.split(r"[./]", span)[0]
        if re.fullmatch(r"(cloudo_kernel|extension|notebooks|tests|docs|binder|requirements)/[\w./-]*", span) or (
            re.fullmatch(r"\.?\w+\.(toml|md|lock)|\.importlinter|Makefile", span)
        ):
            assert (ROOT / span).exists(), f"{name}: {span}"
        elif re.fullmatch(r"examples/\w+", span):
            assert (ROOT / "flows" / f"{span}.ipynb").exists(), f"{name}: {span}"
        elif re.fullmatch(r"Execution[A-Z]\w+", span):
            assert span in words | set(dir(errors)) | set(dir(models)) | set(dir(widgets)), f"{name}: {span}"
        elif re.fullmatch(r"[a-z_]+(\.\w+)+", span) and span not in settings.DOCUMENTED:
            if head in modules:
                resolve(f"cloudo_kernel.{span}")
            elif head in ("cloudo_kernel", "cloudo_extension"):
                resolve(span)
        for author, method in re.findall(r"^(this|system)\.(\w+)", span):
            of = flow_api.This if author == "this" else flow_api.System
            assert hasattr(of, method) or (author, method) == ("system", "api"), f"{name}: {span}"


def test_widgets_are_documented_with_their_traits() -> None:
    table = rows("docs/widgets.md", "widget")
    assert sorted(re.findall(r"`(\w+)", row[0])[0] for row in table) == widgets.__all__
    for widget, _, traits in table:
        kind = getattr(widgets, re.findall(r"`(\w+)", widget)[0])
        named = re.findall(r"`([a-z_]+)`", traits.split(":")[0] if "filters" in traits else traits)
        assert set(named) <= set(kind.class_trait_names(sync=True)), widget


def test_recipes_name_files_that_exist_and_tests() -> None:
    recipes = text_of("CONTRIBUTING.md").partition("## Recipes")[2].partition("\n## ")[0].split("\n### ")[1:]
    assert [recipe.partition("\n")[0] for recipe in recipes] == [
        *(f"Add {thing}" for thing in ("a verb", "a trigger", "a form element", "an executor")),
        *("Add a view to the dashboard", "Add a widget", "Add a page"),
    ]
    for recipe in recipes:
        steps = [line.partition(": ")[0] for line in recipe.splitlines() if line.startswith("- ")]
        files = [file for step in steps for file in re.findall(r"`([\w./]+)`", step)]
        assert [file for file in files if not (ROOT / file).exists()] == []
        assert files[-1].startswith("tests/")


@pytest.mark.parametrize("name", NAMES)
def test_a_line_holds_one_sentence(name: str) -> None:
    for line in prose(name).split("\n"):
        if not line.startswith(("|", "-", "#", "[")):
            assert not re.search(r"[^\d][.!?] +[A-Z]", line), line


@pytest.mark.parametrize("name", NAMES)
def test_commands_and_targets_exist(name: str) -> None:
    shell = "\n".join([*spans(name), *(block.text for block in blocks(name) if block.language in ("bash", "console"))])
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"^(?:\$ )?make (?!-)([a-z]+)", shell, re.MULTILINE)) <= targets
    for command, rest in re.findall(r"^(?:\$ )?cloudo ([a-z]+)([^\n|#]*)", shell, re.MULTILINE):
        assert command in cloudo.commands, f"{name}: cloudo {command}"
        if command != "up":  # it takes Jupyter's flags too
            assert {*re.findall(r"(?<= )--?[a-z][a-z-]*", rest)} <= options(command), f"{name}: cloudo {command}{rest}"


def options(command: str) -> set[str]:
    """Return the options of a command and of those below it; `up` takes Jupyter's too."""
    found = cloudo.commands[command]
    every = [found, *(found.commands.values() if isinstance(found, click.Group) else ())]
    return {option for one in every for parameter in one.get_params(click.Context(one)) for option in parameter.opts}


def test_each_command_is_documented_with_its_options() -> None:
    told = {row[0].strip("`").removeprefix("cloudo "): row[1] for row in rows("docs/operations.md", "command")}
    assert told.keys() == cloudo.commands.keys()
    for command, sentence in told.items():
        assert command == "up" or {*re.findall(r"--[a-z-]+", sentence)} <= options(command)


# --- what the code has -------------------------------------------------------------------------------------------


def test_rest_has_the_routes_of_the_extension() -> None:
    said = {
        (method, re.sub(r"<\w+>", "<>", path))
        for method, path in re.findall(r"^### `([A-Z]+) (/\S+)`$", text_of("docs/rest.md"), re.MULTILINE)
    }
    assert said == {(method, path) for path, handler in routes() for method in methods(handler)}


def routes() -> Iterator[tuple[str, type[RequestHandler]]]:
    yield "/openapi.json", resolve("cloudo_extension.http.openapi.OpenApi")
    for module in pkgutil.iter_modules(cloudo_extension.rest.__path__):
        if module.name not in ("webhook_endpoint",):  # what is not there, and what is not below REST's root
            for pattern, handler in getattr(resolve(f"cloudo_extension.rest.{module.name}"), "routes", ()):
                yield re.sub(r"\([^)]+\)", "<>", pattern.removeprefix("cloudo/api/1")), handler


def methods(handler: type[RequestHandler]) -> list[str]:
    names = ("get", "post", "put", "patch", "delete")
    return [name.upper() for name in names if getattr(handler, name) is not getattr(RequestHandler, name)]


def test_rest_has_the_codes_of_all_errors() -> None:
    replies = resolve("cloudo_extension.http.errors")
    said = {(code, int(row[0])) for row in rows("docs/rest.md", "status") for code in re.findall(r"`(\w+)`", row[1])}
    never_sent = {
        "error",
        "stale_attempt",
        "dependency_failed",
        "wait_timeout",
        "replay_differs",
        "step_failed",
        "workspace_not_found",
        "too_deep",
        "dependency_cycle",
        "dependency_timeout",
        "message_response_timeout",
    }
    there = {(code, int(status_of(errors.from_code(code, "")))) for code in error_codes() - never_sent}
    refusals = {(code, status) for status, (code, _) in replies._REFUSALS.items() if status != 499}
    assert said == there | refusals | {("internal", 500)}


def error_codes() -> set[str]:
    waiting: list[type[errors.CloudoError]] = [errors.CloudoError]
    codes = set()
    while waiting:
        kind = waiting.pop()
        codes.add(kind.code)
        waiting += kind.__subclasses__()
    return codes


@pytest.mark.parametrize(
    "model",
    [models.Execution, models.Flow, models.Message, models.Event, models.Setting, models.Token, models.ErrorDetail],
)
def test_rest_has_the_fields_of_a_record(model: type[BaseModel]) -> None:
    assert model.model_fields.keys() <= set(
        re.findall(r"`(\w+)`", text_of("docs/rest.md").partition("## The records")[2])
    )


def test_rest_has_what_a_start_takes() -> None:
    said = {name for row in rows("docs/rest.md", "field") for name in re.findall(r"`(\w+)`", row[0])}
    assert said == StartExecution.model_fields.keys() | {"wait"}


def test_operations_have_all_settings_traits_and_variables() -> None:
    assert {row[0].strip("`") for row in rows("docs/operations.md", "setting")} == settings.DOCUMENTED.keys()
    traits = resolve("cloudo_extension.app.Cloudo").class_own_traits(config=True)
    assert {row[0].strip("`").removeprefix("c.Cloudo.") for row in rows("docs/operations.md", "trait")} == traits.keys()
    sources = [*(ROOT / "cloudo_kernel").rglob("*.py"), *(ROOT / "extension").rglob("*.py")]
    variables = {name for path in sources for name in re.findall(r"\bCLOUDO_[A-Z_]+\b", path.read_text())}
    assert {row[0].strip("`") for row in rows("docs/operations.md", "variable")} == variables


def test_defaults_are_as_documented() -> None:
    for name, _, default in rows("docs/operations.md", "setting"):
        documented = settings.DOCUMENTED[name.strip("`")].default
        assert default.startswith(json.dumps(documented)) or "CPU" in default
    app = resolve("cloudo_extension.app.Cloudo")
    assert f"| {app.max_body_bytes.default_value} " in text_of("docs/operations.md")


def test_flows_have_all_metadata_keys_and_methods() -> None:
    assert {row[0].strip("`") for row in rows("docs/flows.md", "key")} == models.FlowMetadata.model_fields.keys()
    text = text_of("docs/flows.md")
    for kind in (
        flow_api.This,
        flow_api.System,
        flow_api.Flow,
        flow_api.Execution,
        flow_api.Message,
        flow_api.Schedule,
    ):
        for name in dir(kind):
            assert name.startswith("_") or re.search(rf"\.{name}\b", text), f"{kind.__name__}.{name}"


def test_security_has_all_actions_of_tokens() -> None:
    assert [row[0].strip("`") for row in rows("docs/security.md", "action")] == [*models.Action]


def test_schedules_say_when_triggers_are_due() -> None:
    vienna, now = zones.zone("Europe/Vienna"), datetime(2026, 11, 23, 16, tzinfo=UTC)

    def due(**trigger: str) -> str:
        moment = models.ScheduleTrigger.model_validate(trigger).rule.next_due(vienna, start=now, after=now)
        assert moment is not None
        return humanize.spoken(moment, vienna, now=now)

    for said, _ in rows("docs/schedules.md", "trigger"):
        models.ScheduleTrigger.model_validate_json(said.strip("`")).rule.check(vienna)
    for said, means, moment in rows("docs/schedules.md", "expression"):
        expressions = re.findall(r"`([^`]+)`", said + means * said.startswith("`@"))
        assert {due(cron=expression) for expression in expressions} == {moment}, said
    for said, seconds in rows("docs/schedules.md", "duration"):
        assert {humanize.seconds(text) for text in re.findall(r"`([^`]+)`", said)} == {float(seconds)}
    for said, moment in rows("docs/schedules.md", "moment"):
        read = {humanize.moment(text, vienna, now=now) for text in re.findall(r"`([^`]+)`", said)}
        assert {humanize.spoken(found, vienna, now=now) for found in read} == {moment}


def test_readme_has_all_samples_with_their_inputs(tmp_path: Path) -> None:
    catalog = Catalog(Workspace(tmp_path), library=[ROOT / "flows"])
    said = {row[0].strip("`"): re.findall(r"`(\w+)`", row[2]) for row in rows("README.md", "flow")}
    assert said == {flow.name: list(flow.input_schema["properties"]) for flow in catalog.flows()}


def test_each_dependency_has_a_reason() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    dependencies = project["dependencies"] + extras["postgresql"] + extras["dask"]
    said = {name for row in rows("docs/dependencies.md", "library") for name in re.findall(r"`([\w-]+)`", row[0])}
    assert said - {"axe-core"} == {re.split(r"[<>=\[]", line)[0] for line in dependencies}  # that one is npm's


def test_binder_installs_what_is_locked() -> None:
    binder = ROOT / "binder"
    for line in (binder / "requirements.txt").read_text().splitlines():
        assert (binder / line.removeprefix("-r ")).is_file()
    assert os.access(binder / "postBuild", os.X_OK)
    subprocess.run(["bash", "-n", binder / "postBuild"], check=True)
