"""The private names of Jupyter's libraries that we use: each is listed with its reason, so that an upgrade checks them.

`pyproject.toml` bounds these libraries from above for their sake, and `make test-newest` tries what is beyond.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import cloudo_extension
import cloudo_kernel

LIBRARIES = {"ipykernel", "IPython", "nbclient", "jupyter_client", "voila", "papermill", "tornado", "traitlets"}
KERNEL, EXTENSION = (Path(package.__path__[0]) for package in (cloudo_kernel, cloudo_extension))
FILES = sorted(
    path
    for folder in (KERNEL / "kernel", KERNEL / "runner", KERNEL / "processes", EXTENSION)
    for path in folder.rglob("*.py")
    if path.name != "__main__.py"
)

#: The reason for each.
USED = {
    # nbclient
    "_async_poll_for_reply": "one loop reads replies and outputs, without nbclient's waits between them",
    "_async_poll_output_msg": "does nothing: that loop reads the outputs",
    "_async_poll_kernel_alive": "does nothing: that loop checks the kernel",
    "_check_raise_for_error": "an early end is no error of its cell",
    # ipykernel: application and kernel
    "_bind_socket": "kernels get unique socket paths",
    "_kernel_modules": "the debugger skips our own files",
    "_process_children": "ipykernel waits 14 s for zombies and resource trackers",
    "_run_exec_lines": "start-up code runs after the fork",
    "_run_exec_files": "start-up code runs after the fork",
    "_run_startup_files": "start-up code runs after the fork",
    "_walk_mro": "traitlets: a kernel is forked only if it is configured like the zygote's",
    # ipykernel: output streams
    "_buffer_lock": "another thread may replace the deferred output while it is read",
    "_buffers": "the deferred output of a stream is joined",
    "_fid": "the pipe of the redirected descriptor",
    "_flush": "output of other processes comes before the end of its cell",
    "_flush_buffers": "deferred output is joined before it is sent",
    "_original_stdstream_copy": "what cannot be sent goes to the original descriptor",
    "_setup_stream_redirects": "the pipe is drained under a lock",
    "_should_watch": "whether the descriptor is redirected",
    "_watch_pipe_fd": "the thread that drains the pipe",
    "_handle_pipe_msg": "output of forked children arrives by a pipe",
    "_handle_subscription": "no output is sent before the runner has subscribed",
    "_is_master_process": "a forked child sends its output to its parent",
    "_master_pid": "set anew after the fork",
    "_pipe_flag": "the pipe for forked children is opened when the first one writes",
    "_pipe_port": "the pipe for forked children is opened when the first one writes",
    "_pipe_uuid": "the pipe for forked children is opened when the first one writes",
    # tornado
    "_body_future": "whether the body has arrived in time",
    "_finished": "whether a reply has been sent",
    "_headers": "a reply is reset without formatting the date again, and 405 gets its Allow",
    "_headers_written": "whether an error can still change the status",
    "_log": "lines that are written nowhere are not formatted",
    "_write_buffer": "a reply is reset without formatting the date again",
    # Python
    "_exit": "documented in os: a forked child ends without the clean-up of its parent",
    "_resource_tracker": "the process that the kernel must not wait for",
    "_run_exitfuncs": "a forked child runs its own exit handlers",
    "_shutdown": "a forked child waits for its threads, as those of multiprocessing do",
    "_xoptions": "forked processes must not pass an option on to theirs",
}


def private(tree: ast.AST) -> set[str]:
    """Return the private names that are used or defined as attributes, methods or imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("cloudo_"):
            found |= {alias.name for alias in node.names} | set((node.module or "").split("."))
        elif isinstance(node, ast.Import):
            found |= {part for alias in node.names for part in alias.name.split(".")}
    return {name for name in found if name.startswith("_") and not name.startswith("__")}


def defined(tree: ast.AST) -> set[str]:
    """Return the names that a module defines: functions, classes, variables and attributes."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return found


@cache
def names_of(base: type) -> frozenset[str]:
    """Return the private names in the source of a library's class."""
    return frozenset(private(ast.parse(textwrap.dedent(inspect.getsource(base)))))


def inherited(path: Path, tree: ast.AST) -> Iterator[str]:
    """Yield the private names that our classes share with the classes of libraries that they inherit from."""
    root = KERNEL if path.is_relative_to(KERNEL) else EXTENSION
    module = importlib.import_module(".".join((root.name, *path.relative_to(root).with_suffix("").parts)))
    for node in ast.walk(tree):
        ours = getattr(module, node.name, None) if isinstance(node, ast.ClassDef) else None
        for base in ours.__mro__ if isinstance(ours, type) else ():
            if base.__module__.split(".")[0] in LIBRARIES:
                yield from private(node) & names_of(base)


@pytest.mark.slow
def test_each_private_name_of_a_library_is_listed_with_its_reason() -> None:
    product = [ast.parse(path.read_text()) for root in (KERNEL, EXTENSION) for path in root.rglob("*.py")]
    ours = set().union(*map(defined, product))
    used: set[str] = set()
    for path in FILES:
        tree = ast.parse(path.read_text())
        used |= {name for name in private(tree) if name not in ours} | set(inherited(path, tree))
    assert used == USED.keys()
