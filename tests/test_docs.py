"""The documents say what is so: their examples run, and what they name is there.

A fenced block is run when the words after its language say so:

- `bash run`, `python run`, `console run`: in their order, in one shell for the whole document, in a workspace with a
  server. In a console block `$ ` begins a command, and the other lines are what it prints; `…` stands for anything.
- `json reply`: what the block before it printed is JSON with at least this in it.
- `python cell=NAME` (with `parameters`, with `ends=STATUS`) and `json metadata=NAME`: together they are the flow NAME.
- `python script=NAME`: the flow NAME, a script.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel
from tornado.web import RequestHandler

import cloudo_extension.rest
import cloudo_kernel
from cloudo_kernel import errors, flow_api, models, settings
from cloudo_kernel.cli import cloudo
from cloudo_kernel.models import StartExecution, Status, event_types
from cloudo_kernel.scheduling import humanize, zones
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.flows import write_flow, write_script
from tests.server import WITHOUT_LAB, RunningServer, start_server

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
MARK = "\x1e"


@dataclass
class Block:
    """A fenced block of a document."""

    line: int
    language: str
    words: list[str]
    text: str

    def value(self, key: str) -> str | None:
        return next((word.partition("=")[2] for word in self.words if word.startswith(f"{key}=")), None)


@dataclass
class Step:
    """A command of a document, and what it is said to print."""

    line: int
    command: str
    prints: str | None = None
    reply: Any = None


@dataclass
class Flow:
    """A flow that a document shows."""

    cells: list[str] = field(default_factory=list)
    parameters: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    script: str | None = None
    ends: Status = Status.ENDED_SUCCESS


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str) -> Iterator[Block]:
    text = text_of(name)
    for found in re.finditer(r"^```(\w+)?([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(line, found[1] or "", found[2].split(), found[3])


def prose(name: str) -> str:
    """Return the text without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(name), flags=re.MULTILINE | re.DOTALL)


def spans(name: str) -> list[str]:
    """Return what stands between backquotes in the running text."""
    return re.findall(r"`([^`\n]+)`", prose(name))


def rows(name: str, head: str) -> list[list[str]]:
    """Return the cells of the table that begins with this line, without its head."""
    table = re.search(rf"^\| {head} \|.*\n\|.*\n((?:\|.*\n)+)", text_of(name), re.MULTILINE)
    assert table, f"{name} has no table {head}"
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[1].splitlines()]


# --- what runs ---------------------------------------------------------------------------------------------------


def steps(name: str) -> list[Step]:
    found: list[Step] = []
    for block in blocks(name):
        if block.language == "json" and "reply" in block.words:
            found[-1].reply = json.loads(block.text)
        elif "run" not in block.words:
            continue
        elif block.language == "console":
            for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                command, _, prints = part.partition("\n")
                found.append(Step(block.line, command, prints))
        elif block.language == "python":
            found.append(Step(block.line, f"python - <<'PYTHON'\n{block.text}PYTHON"))
        else:
            assert block.language == "bash", f"{name}:{block.line}: a block of {block.language} cannot run"
            found.append(Step(block.line, block.text))
    return found


def documented_flows() -> dict[str, Flow]:
    found: dict[str, Flow] = {}
    for block in (block for name in NAMES for block in blocks(name)):
        if (flow_name := block.value("cell")) is not None:
            flow = found.setdefault(flow_name, Flow())
            if "parameters" in block.words:
                flow.parameters = block.text
            else:
                flow.cells.append(block.text)
            flow.ends = Status(block.value("ends") or flow.ends)
        if (flow_name := block.value("script")) is not None:
            found.setdefault(flow_name, Flow()).script = block.text
        if (flow_name := block.value("metadata")) is not None:
            found.setdefault(flow_name, Flow()).metadata = json.loads(block.text)
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose workspace has the flows that the documents show."""
    workspace = tmp_path_factory.mktemp("workspace")
    for name, flow in documented_flows().items():
        if flow.script is None:
            write_flow(workspace, name, *flow.cells, parameters=flow.parameters, metadata=flow.metadata)
        else:
            write_script(workspace, name, flow.script)
    server = start_server(workspace, tmp_path_factory.mktemp("home"), extensions=WITHOUT_LAB)
    yield server
    server.stop()


@pytest.mark.parametrize("name", [name for name in NAMES if steps(name)])
def test_examples_run_as_they_stand(name: str, server: RunningServer) -> None:
    if missing := [tool for tool in ("bash", "curl", "jq") if shutil.which(tool) is None]:
        assert "CI" not in os.environ
        pytest.skip(f"The examples need {', '.join(missing)}.")
    todo = steps(name)
    script = "set -eu\n" + "".join(f"printf '\\n{MARK}'\n{step.command}\n" for step in todo)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CLOUDO_", "JPY_"))} | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CLOUDO_URL": server.url,
        "CLOUDO_TOKEN": server.token,
        "JUPYTER_RUNTIME_DIR": str(server.runtime),
        "PYTHONWARNINGS": "error",
        "COLUMNS": "200",
    }
    where: dict[str, Any] = {"cwd": server.workspace, "env": environment}
    done = subprocess.run(["bash", "-c", script], **where, capture_output=True, text=True, check=False)
    printed = done.stdout.split(MARK)[1:]
    assert done.returncode == 0, f"{name}: {todo[len(printed) - 1]}\n{printed[-1]}\n{done.stderr}"
    for step, output in zip(todo, printed, strict=True):
        if step.reply is not None:
            assert holds(json.loads(output), step.reply), f"{name}:{step.line} replied {output}"
        if step.prints is not None:
            pattern = ".*".join(map(re.escape, re.split(r"\s*…\s*", " ".join(step.prints.split()))))
            assert re.fullmatch(pattern, " ".join(output.split())), f"{name}:{step.line} printed {output}"


def holds(found: Any, said: Any) -> bool:
    """Tell whether all that is said is found; more may be found."""
    if said == "…":
        return isinstance(found, str)
    if isinstance(said, dict):
        return isinstance(found, dict) and all(key in found and holds(found[key], said[key]) for key in said)
    if isinstance(said, list):
        return isinstance(found, list) and len(found) >= len(said) and all(map(holds, found, said))
    return bool(found == said)


def test_the_flows_shown_run_and_end_as_they_say(server: RunningServer) -> None:
    flows = documented_flows()
    written = "\n".join(source for flow in flows.values() for source in (*flow.cells, flow.script or ""))
    with server.client() as client:
        first = [name for name in flows if f'"{name}"' not in written]  # the others are their children
        started = [client.start_execution(StartExecution(flow_name=name)).id for name in first]
        ended = [client.wait(execution_id) for execution_id in started]
        for execution in ended:
            assert execution.status is flows[str(execution.flow_name)].ends, execution
        pages = [client.executions(models.ExecutionFilter(parent_id=one.id)) for one in ended]
    children = [child for page in pages for child in page.items]
    assert {child.flow_name for child in children} >= flows.keys() - set(first)
    for child in children:
        assert child.status is flows.get(str(child.flow_name), Flow()).ends, child


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
            assert span in words | set(dir(errors)) | set(dir(models)), f"{name}: {span}"
        elif re.fullmatch(r"[a-z_]+(\.\w+)+", span) and span not in settings.DOCUMENTED:
            if head in modules:
                resolve(f"cloudo_kernel.{span}")
            elif head in ("cloudo_kernel", "cloudo_extension"):
                resolve(span)
        for author, method in re.findall(r"^(this|system)\.(\w+)", span):
            of = flow_api.This if author == "this" else flow_api.System
            assert hasattr(of, method) or (author, method) == ("system", "api"), f"{name}: {span}"


def resolve(dotted: str) -> Any:
    """Return what a dotted name names, or fail."""
    parts = dotted.split(".")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for length in range(len(parts), 0, -1):
            try:
                found: Any = importlib.import_module(".".join(parts[:length]))
            except ModuleNotFoundError:
                continue
            for part in parts[length:]:
                found = getattr(found, part)
            return found
    raise AssertionError(dotted)


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
    return {option for one in every for parameter in one.params for option in parameter.opts} | {"--help"}


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
    statuses = resolve("cloudo_extension.http.errors")
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
    there = {(code, int(statuses.status_of(errors.from_code(code, "")))) for code in error_codes() - never_sent}
    refusals = {(code, status) for status, (code, _) in statuses._REFUSALS.items() if status != 499}
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


def test_choices_give_a_reason_for_each_dependency() -> None:
    dependencies = tomllib.loads(text_of("pyproject.toml"))["project"]["dependencies"]
    said = {name for row in rows("docs/choices.md", "library") for name in re.findall(r"`([\w-]+)`", row[0])}
    assert said - {"axe-core"} == {re.split(r"[<>=]", line)[0] for line in dependencies}  # that one is npm's


def test_binder_installs_what_is_locked() -> None:
    binder = ROOT / "binder"
    for line in (binder / "requirements.txt").read_text().splitlines():
        assert (binder / line.removeprefix("-r ")).is_file()
    assert os.access(binder / "postBuild", os.X_OK)
    subprocess.run(["bash", "-n", binder / "postBuild"], check=True)
