"""Move the modules into one package per process, and rewrite whatever names them.

Run it once, in a clean checkout: `python .ci/move_to_packages.py`. It moves files with git, rewrites imports, module
names in strings and in docs, and adds the files that the new packages need.
"""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

#: By the package a module moves to: its old name, and where that changes its new one.
KERNEL = {
    "": "connection=discovery",
    "cli": "examination=diagnostics magics",
    "forms": "answers=elements forms=form markdown",
    "kernel": "by_hand=interactive_api kernel=app light_kernel=fast_kernel light_output=fast_output",
    "models": "events=event_types following=follow_up_notation ids lifecycle canonical",
    "processes": "channel lease=liveness lifeline loop provisioning.forking=fork provisioning.process=child "
    "provisioning.provisioner provisioning.warm=zygotes provisioning.zygote provisioning.inherited "
    "provisioning.preloaded provisioning.__main__",
    "runner": "engine=papermill_engine rehearsal=prewarm run_kernel=kernel_connection runner=run injection",
    "scheduling": "planning times=humanize triggers spans",
    "security": "outgoing=outbound_http permissions redaction store.seals=encryption bounds",
    "service": "local_service=local",
    "store": "migrations tables",
    "store.executions": "store.dependencies store.executions=records store.journal store.log store.moves=transitions "
    "store.new_execution store.queue store.runs=reports store.slots store.waking=wakeups store.attempts "
    "store.belonging store.changes store.holds store.lists store.search store.text_entry store.text_index "
    "store.wishes store.unended",
    "store.schedules": "store.follow_ups store.occurrences store.recurrence=counters store.schedules=records",
    "store.sql": "store.database store.group_commit store.kept_connections=connections store.many=bulk_statement "
    "store.guard=file_guard",
    "webhooks": "proofs=signatures webhook_call=request",
    "worker": "dispatcher executors.base=executor executors.flow_calls=flow_requests executors.host=run_supervisor "
    "executors.local=local_executor executors.outcomes executors.replay executors.runner_process "
    "executors.secrets=run_secrets executors.sockets=socket_dirs executors.standby=runner_pool executors.waits "
    "executors.worker_slots=slots interactive=interactive_sessions notifier scheduler worker heartbeat",
    "workspace": "files=atomic_write users workspace=layout workspace_files=files catalog",
}
EXTENSION = {
    "backend": "engine=backend feed=event_feed gathering=batching starts=batched_starts waiting refusals "
    "throttle=rate_limit",
    "http": "base=handler caller=authentication conditions=etags examples framing=request_body openapi operation "
    "schemas statuses=errors tokens=session_tokens",
    "pages": "dashboard missing=not_found notebook_page=notebook_html page_kernels explorer "
    "rendering=notebook_renderer",
    "rest": "api_tokens=tokens events executions files flows health interactive messages notebooks schedules settings "
    "users webhook_calls=webhook_endpoint webhooks",
}
#: What each new package is for; the first line of its `__init__`.
DOCSTRINGS = {
    "cloudo_kernel.forms": "Forms: their elements, and what is answered to them.",
    "cloudo_kernel.kernel": "The process of a notebook's kernel: `python -m cloudo_kernel.kernel -f FILE`.",
    "cloudo_kernel.processes": "Child processes: how they are started, talked to, watched and ended.",
    "cloudo_kernel.runner": "The process that runs one notebook with papermill: `python -m cloudo_kernel.runner`.",
    "cloudo_kernel.scheduling": "When schedules run. Pure functions: no clock, no database.",
    "cloudo_kernel.security": "Permissions, secrets, and the limits of what a caller can ask for.",
    "cloudo_kernel.webhooks": "Webhook requests: what they carry, and their signatures.",
    "cloudo_kernel.worker": "The process that claims executions and runs them: `python -m cloudo_kernel.worker`.",
    "cloudo_kernel.workspace": "The workspace on disk: its layout, files, users and flows.",
    "cloudo_kernel.store.executions": "The tables of executions: queue, reports, control, log and search.",
    "cloudo_kernel.store.schedules": "The tables of schedules: records, occurrences and follow-ups.",
    "cloudo_kernel.store.sql": "The database: connections, transactions and migrations.",
    "cloudo_extension.backend": "What REST and pages ask: the service behind a pool of threads, and the event feed.",
    "cloudo_extension.http": "HTTP: handlers, authentication, the OpenAPI document, and errors.",
    "cloudo_extension.pages": "Pages for people: the dashboard, executed notebooks, and the API explorer.",
    "cloudo_extension.rest": "REST: one module per noun.",
}
#: `python -m` for packages that were modules.
MAINS = {
    "kernel": '''"""`python -m cloudo_kernel.kernel`: the kernel `cloudo`."""

import sys

# Python puts the working folder first, where a flow may have a `json.py`; the kernel does so once it has started.
del sys.path[0 : 1 - sys.flags.safe_path]

from cloudo_kernel.kernel.app import main  # noqa: E402 -- after the line above

main()
''',
    "runner": '''"""`python -m cloudo_kernel.runner RUNNER_FD KERNEL_FD LIFELINE_FD FOLDER`: one run, started cold."""

import sys
from pathlib import Path

from cloudo_kernel.runner.run import main

main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
''',
    "worker": '''"""`python -m cloudo_kernel.worker --private ID`: the worker of a notebook that no server serves."""

from cloudo_kernel.worker.worker import main

main()
''',
}
#: What names modules in other ways, or depends on where a file lies: by file, what to replace.
PATCHES = {
    "cloudo_kernel/kernel/app.py": [
        (
            """import sys

if __name__ == "__main__":
    # Python puts the working folder first, where a flow may have a `json.py`; the kernel does so once it has started.
    del sys.path[0 : 1 - sys.flags.safe_path]

import atexit
import json
import os
""",
            "import atexit\nimport json\nimport os\nimport sys\n",
        ),
        ('\n\nif __name__ == "__main__":\n    main()\n', ""),
    ],
    "cloudo_kernel/worker/worker.py": [('\n\nif __name__ == "__main__":\n    main()\n', "")],
    "cloudo_kernel/runner/run.py": [
        (
            '\n\nif __name__ == "__main__":\n'
            "    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))\n",
            "",
        ),
        (
            """    import cloudo_kernel.workspace.catalog
    import cloudo_kernel.runner.papermill_engine
    import cloudo_kernel.runner.injection  # noqa: F401
    from cloudo_kernel.runner import kernel_connection as run_kernel
""",
            """    import cloudo_kernel.runner.injection
    import cloudo_kernel.runner.papermill_engine
    import cloudo_kernel.workspace.catalog  # noqa: F401 -- what a run imports, with the two above
    from cloudo_kernel.runner import kernel_connection as run_kernel
""",
        ),
    ],
    "tests/unit/test_catalog.py": [
        (
            "import sys, cloudo_kernel.workspace.catalog as c; print",
            "import sys, cloudo_kernel.workspace.catalog; print",
        )
    ],
    "cloudo_kernel/processes/inherited.py": [
        ('kernel = "cloudo_kernel.kernel.app"', 'kernel = "cloudo_kernel.kernel"'),
        ('Path(__file__).parents[1] / "kernel.py"', 'Path(__file__).parents[1] / "kernel" / "__main__.py"'),
    ],
    "cloudo_kernel/runner/kernel_connection.py": [
        ('frozenset({"cloudo_kernel.kernel.app"', 'frozenset({"cloudo_kernel.kernel"')
    ],
    "cloudo_kernel/workspace/catalog/library.py": [("parents[2]", "parents[3]")],
    "cloudo_kernel/store/sql/database.py": [("cloudo_kernel:migrations", "cloudo_kernel.store:migrations")],
    "extension/cloudo_extension/pages/notebook_html.py": [
        (
            'files("cloudo_extension").joinpath("notebook_page.css")',
            'files("cloudo_extension.pages").joinpath("notebook_html.css")',
        )
    ],
    "pyproject.toml": [
        ("cloudo_kernel.processes:CloudoProvisioner", "cloudo_kernel.processes.provisioner:CloudoProvisioner")
    ],
    "tests/unit/test_store_executions.py": [("cloudo_kernel:migrations", "cloudo_kernel.store:migrations")],
    "docs/choices.md": [("cloudo_extension/explorer/", "cloudo_extension/pages/explorer/")],
    "CONTRIBUTING.md": [("cloudo_kernel/migrations/", "cloudo_kernel/store/migrations/")],
    "tests/acceptance/test_warm_deaths.py": [('"cloudo_kernel.runner.run" in', '"cloudo_kernel.runner" in')],
    "tests/chaos/killer.py": [
        (
            '"cloudo_kernel.kernel.app": "kernel", "cloudo_kernel.runner.run"',
            '"cloudo_kernel.kernel": "kernel", "cloudo_kernel.runner"',
        )
    ],
    "tests/test_docs.py": [
        ("pkgutil.iter_modules(cloudo_extension.__path__)", "pkgutil.iter_modules(cloudo_extension.rest.__path__)"),
        ('("base", "webhook_calls")', '("webhook_endpoint",)'),
        ('f"cloudo_extension.{module.name}"', 'f"cloudo_extension.rest.{module.name}"'),
        (
            "def routes() -> Iterator[tuple[str, type[RequestHandler]]]:\n",
            "def routes() -> Iterator[tuple[str, type[RequestHandler]]]:\n"
            '    yield "/openapi.json", resolve("cloudo_extension.http.openapi.OpenApi")\n',
        ),
        ("import cloudo_extension\n", "import cloudo_extension.rest\n"),
    ],
}
#: Files that no import names.
OTHERS = {"extension/cloudo_extension/notebook_page.css": "extension/cloudo_extension/pages/notebook_html.css"}


def moves(root: str, table: dict[str, str]) -> dict[str, str]:
    """Return the new names of modules by their old ones."""
    found = {}
    for package, words in table.items():
        for word in words.split():
            old, _, new = word.partition("=")
            new = new or old.rpartition(".")[2]
            found[f"{root}.{old}"] = ".".join(part for part in (root, package, new) if part)
    return found


MOVED = moves("cloudo_kernel", KERNEL) | moves("cloudo_extension", EXTENSION)
#: Longest first: `store.executions` before `store`.
OLD_NAMES = sorted(MOVED, key=len, reverse=True)
_NAME = re.compile(rf"\b({'|'.join(map(re.escape, OLD_NAMES))})\b(?![-/])")
_IMPORT = re.compile(r"from cloudo_(?:kernel|extension)[\w.]* import \w+(?: as \w+)?(?:, \w+(?: as \w+)?)*")
#: In the docs, what is named without `cloudo_kernel`.
_SPAN = re.compile(r"`((?:[a-z_]+\.)+[A-Za-z_]+(?:\.[A-Za-z_]+)*)([`(])")
#: What is run by `python -m`.
PROGRAMS = {f"cloudo_kernel.{name}" for name in MAINS}
#: Names that the old package offered and the new one, which stays empty, does not.
OFFERED: dict[str, str] = {}


def git(*words: str) -> None:
    """Run git."""
    subprocess.run(["git", *words], check=True)  # noqa: S607 -- whichever git there is


def folder(module: str) -> Path:
    """Return the path of a module, without an ending."""
    return Path("extension" if module.startswith("cloudo_extension") else "", *module.split("."))


def renamed(module: str) -> str:
    """Return the new name of a module, or of something in it."""
    for old in OLD_NAMES:
        if module == old or module.startswith(f"{old}."):
            return MOVED[old] + module[len(old) :]
    return module


def move_files() -> None:
    """Move modules and packages."""
    for path in (
        folder("cloudo_kernel.provisioning") / "__init__.py",
        folder("cloudo_kernel.executors") / "__init__.py",
    ):
        if "provisioning" in str(path):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ImportFrom) and node.module != "__future__":
                    OFFERED.update({f"cloudo_kernel.provisioning.{name.name}": str(node.module) for name in node.names})
        git("rm", "-q", str(path))
    # In two steps: `kernel.py` makes room for `kernel/` first.
    parked = {}
    for old in MOVED:
        source = folder(old)
        ending = "" if source.is_dir() and not source.with_suffix(".py").exists() else ".py"
        place = Path(f"{source}{ending}.moving")
        git("mv", f"{source}{ending}", str(place))
        parked[place] = Path(f"{folder(MOVED[old])}{ending}")
    for place, target in parked.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        git("mv", str(place), str(target))
    for source, target in OTHERS.items():
        git("mv", source, target)


def add_files() -> None:
    """Add what the new packages need."""
    for package, docstring in DOCSTRINGS.items():
        (folder(package) / "__init__.py").write_text(f'"""{docstring}"""\n')
    for package, text in MAINS.items():
        (folder(f"cloudo_kernel.{package}") / "__main__.py").write_text(text)


def import_lines(node: ast.ImportFrom, modules: set[str]) -> list[str]:
    """Return the statements that take the place of `from package import names`."""
    by_module: dict[str, list[str]] = {}
    for alias in node.names:
        whole = f"{node.module}.{alias.name}"
        if whole in MOVED or (whole in modules and renamed(whole) != whole):
            module, _, name = renamed(whole).rpartition(".")
            known_as = alias.asname or alias.name
            text = name if known_as == name else f"{name} as {known_as}"
        else:
            module = renamed(OFFERED.get(whole, str(node.module)))
            text = alias.name + (f" as {alias.asname}" if alias.asname else "")
        by_module.setdefault(module, []).append(text)
    return [f"from {module} import {', '.join(names)}" for module, names in by_module.items()]


def rewrite_imports(text: str, modules: set[str]) -> str:
    """Return the source with `from` imports of the new modules."""
    lines = text.split("\n")
    for node in sorted(ast.walk(ast.parse(text)), key=lambda node: -getattr(node, "lineno", 0)):
        if not isinstance(node, ast.ImportFrom) or not str(node.module).startswith(
            ("cloudo_kernel", "cloudo_extension")
        ):
            continue
        new = import_lines(node, modules)
        last = lines[node.end_lineno - 1]
        comment = last[node.end_col_offset :] if node.lineno == node.end_lineno else ""
        if node.lineno != node.end_lineno and "#" in "".join(lines[node.lineno - 1 : node.end_lineno]):
            raise SystemExit(f"a comment in {ast.unparse(node)}")
        indent = lines[node.lineno - 1][: node.col_offset]
        lines[node.lineno - 1 : node.end_lineno] = [f"{indent}{line}{comment}" for line in new]
    return "\n".join(lines)


def rewrite_names(text: str, suffix: str, modules: set[str]) -> str:
    """Return the text with the new names of modules outside of import statements: in strings, comments and docs."""
    imports: set[int] = set()
    if suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom):
                imports |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = text.split("\n")
    for number, old in enumerate(lines, 1):
        if number in imports:
            continue
        line = old
        if found := _IMPORT.search(line):  # of a program in a string
            [node] = ast.parse(found[0]).body
            assert isinstance(node, ast.ImportFrom)
            line = line.replace(found[0], "; ".join(import_lines(node, modules)))
        elif "-m" in line:  # packages have taken the places of these modules
            line = _NAME.sub(lambda found: found[1] if found[1] in PROGRAMS else MOVED[found[1]], line)
        else:
            line = _NAME.sub(lambda found: MOVED[found[1]], line)
        if suffix == ".md":
            line = _SPAN.sub(rename_span, line)
        lines[number - 1] = line
    return "\n".join(lines)


def rename_span(found: re.Match[str]) -> str:
    """Return a span such as `store.runs.Runs` with the new name."""
    whole = f"cloudo_kernel.{found[1]}"
    name = whole.rpartition(".")[2]
    new = f"{OFFERED[whole]}.{name}" if whole in OFFERED else renamed(whole)
    return f"`{new.removeprefix('cloudo_kernel.')}{found[2]}"


def rewrite(modules: set[str]) -> None:
    """Rewrite every file of text that names a module."""
    listed = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True).stdout  # noqa: S607
    endings = {".py", ".md", ".toml", ".json", ".ipynb", ".j2", ".mako", ".js"}
    for path in map(Path, listed.splitlines()):
        if path.suffix not in endings or path.name in {"CHANGELOG.md", "move_to_packages.py"}:
            continue
        text = path.read_text(encoding="utf-8")
        changed = rewrite_imports(text, modules) if path.suffix == ".py" else text
        changed = rewrite_names(changed, path.suffix, modules)
        changed = changed.replace("cloudo_kernel.provisioning", "cloudo_kernel.processes")
        if changed != text:
            path.write_text(changed, encoding="utf-8")


def patch() -> None:
    """Make the replacements of `PATCHES`; each must be possible."""
    for name, changes in PATCHES.items():
        text = Path(name).read_text(encoding="utf-8")
        for old, new in changes:
            if old not in text:
                raise SystemExit(f"{name} has no {old!r}")
            text = text.replace(old, new)
        Path(name).write_text(text, encoding="utf-8")


def main() -> None:
    """Do all of it."""
    modules = set()
    for root in ("cloudo_kernel", "cloudo_extension"):
        base = folder(root)
        for file in base.rglob("*.py"):
            parts = [root, *file.relative_to(base).with_suffix("").parts]
            modules.add(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    move_files()
    git("add", "--all")
    rewrite(modules)
    add_files()
    patch()


if __name__ == "__main__":
    main()
