"""The names that others build on: they are these, and each says what it is."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

import cloudo_kernel
from cloudo_kernel import flow_api, widgets
from cloudo_kernel.api import VERBS, Api
from cloudo_kernel.client import Client
from cloudo_kernel.service import Service

NAMES = {
    cloudo_kernel: {"Dashboard", "Execution", "Flow", "System", "connect"},
    flow_api: {
        "CloudoError",
        "DependencyFailedError",
        "DependencyTimeoutError",
        "Execution",
        "File",
        "Flow",
        "InputsInvalid",
        "LazyApi",
        "Named",
        "Message",
        "MessageResponseTimeoutError",
        "PermissionDenied",
        "ResourceNotFoundError",
        "ReturnWhen",
        "RunApi",
        "Schedule",
        "Setting",
        "System",
        "This",
        "exceptions",
        "follow",
    },
    widgets: {
        "Dashboard",
        "ExecutionView",
        "Executions",
        "FlowForm",
        "Flows",
        "InputRequests",
        "PlayButton",
        "ScheduleForm",
    },
}
MEMBERS = {
    flow_api.Flow: {"get", "map", "name", "run", "start"},
    flow_api.Execution: {
        "cancel",
        "check",
        "clone",
        "dataframe",
        "get",
        "id",
        "load",
        "notebook",
        "outputs",
        "pause",
        "record",
        "results",
        "resume",
        "retry",
        "run",
        "run_async",
        "save",
        "set",
        "status",
        "wait",
    },
    flow_api.Message: {"get", "id", "load", "record", "wait"},
    flow_api.Schedule: {
        "backfill",
        "delete",
        "get",
        "id",
        "load",
        "name",
        "occurrences",
        "pause",
        "record",
        "resume",
        "save",
        "summary",
        "trigger",
        "when",
    },
    flow_api.This: {
        "end",
        "error",
        "flow",
        "log",
        "save",
        "script",
        "set_output",
        "show",
        "sleep",
        "sleep_until",
        "step",
        "success",
        "wait_for",
        "webhook_html_response",
        "webhook_response",
    },
    flow_api.Setting: {"acquire", "delete", "exists", "get", "load", "name", "release", "save", "set"},
    flow_api.File: {"delete", "exists", "get", "load", "path", "save", "set"},
    flow_api.System: {
        "execution",
        "executions",
        "file",
        "files",
        "flow",
        "flows",
        "get_env_name",
        "get_own_client",
        "get_own_user",
        "message",
        "preview",
        "return_when",
        "schedule",
        "schedules",
        "setting",
        "settings",
    },
}


@pytest.mark.parametrize("module", NAMES, ids=lambda module: module.__name__)
def test_a_module_exports_what_is_listed(module: ModuleType) -> None:
    assert set(module.__all__) == NAMES[module]
    assert inspect.getdoc(module)
    for name in module.__all__:
        assert inspect.getdoc(getattr(module, name)), name


@pytest.mark.parametrize("kind", MEMBERS, ids=lambda kind: kind.__name__)
def test_an_author_s_object_has_what_is_listed(kind: type[Any]) -> None:
    inherited = MEMBERS[flow_api.Execution] if kind is flow_api.This else set()
    assert {name for name in dir(kind) if not name.startswith("_")} == MEMBERS[kind] | inherited
    for name in MEMBERS[kind]:
        assert inspect.getdoc(getattr(kind, name)), name


@pytest.mark.parametrize("end", [Service, Client])
def test_both_ends_have_each_verb_as_it_is_declared(end: type[Any]) -> None:
    for verb in VERBS:
        assert inspect.signature(getattr(end, verb)) == inspect.signature(getattr(Api, verb)), verb
        assert inspect.getdoc(getattr(Api, verb)), verb


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        _ = cloudo_kernel.conect


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = {"sqlalchemy", "httpx", "papermill", "nbformat", "jupyter_server", "pydantic", "IPython", "click"}
    code = f"import cloudo_kernel, sys; print(*({heavy!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_importing_the_widgets_imports_only_their_library() -> None:
    """Together with httpx, pydantic and the records it would take three times as long."""
    heavy = {"sqlalchemy", "httpx", "papermill", "nbformat", "jupyter_server", "pydantic", "click"}
    code = f"import cloudo_kernel.widgets, sys; print(*({heavy!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_magics_import_no_command_of_the_shell() -> None:
    heavy = {"sqlalchemy", "httpx", "papermill", "nbformat", "cloudo_kernel.cli.command", "cloudo_kernel.cli.schedule"}
    code = f"import cloudo_kernel.cells.magics, sys; print(*({heavy!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_worker_imports_no_library_of_notebooks() -> None:
    """They take longer than all else of its start; runners and zygotes import them."""
    heavy = {"papermill", "nbclient", "nbformat", "jsonschema", "IPython"}
    code = f"import cloudo_kernel.worker.worker, sys; print(*({heavy!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_no_module_takes_the_place_of_an_exported_name() -> None:
    """Importing a submodule sets an attribute of the package: `cloudo.connect` must stay a function."""
    names = {module.name for module in pkgutil.iter_modules(cloudo_kernel.__path__)}
    assert not names & NAMES[cloudo_kernel]
