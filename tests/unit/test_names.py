"""Names are the field's terms: private words that were renamed do not come back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Names of modules, and what to say.
MODULES = {
    "examination": "diagnostics",
    "proofs": "signatures",
    "rehearsal": "prewarm",
    "following": "follow_ups",
    "outgoing": "outbound_http",
    "by_hand": "interactive_api",
    "light_kernel": "fast_kernel",
    "light_output": "fast_output",
    "run_kernel": "kernel_connection",
    "standby": "runner_pool",
    "host": "run_supervisor",
    "flow_calls": "flow_requests",
    "moves": "transitions",
    "wishes": "control",
    "holds": "control",
    "belonging": "owners",
    "waking": "wakeups",
    "many": "bulk_statement",
    "seals": "encryption",
    "kept_connections": "connections",
    "recurrence": "records",
    "gathering": "batching",
    "framing": "request_body",
    "statuses": "errors",
    "throttle": "rate_limit",
}
#: Names of classes, functions, parameters and constants, and what to say.
NAMES = {
    "Finding": "Check",
    "cure": "hint",
    "HandApi": "InteractiveApi",
    "HandThis": "InteractiveThis",
    "share": "shared_zygotes",
    "RunHost": "RunSupervisor",
    "FlowCalls": "FlowRequests",
    "rouse": "wake_lock_waiter",
    "await_": "register_wait",
    "Turns": "FairLock",
    "EventTail": "EventListener",
    "Gathered": "Batcher",
    "Throttle": "RateLimiter",
    "_Like": "_Template",
    "like": "template",
    "its": "record",
    "told": "payload",
    "said": "text",
    "shown": "masked",
    "_bury_the_dead": "_reap_dead",
    "_remove_forsaken": "_remove_stale",
    "_keep_house": "_housekeeping",
    "_look_after_others": "_reap_lost_workers",
    "_fulfil_wishes": "_apply_stop_requests",
    "patiently": "retry_while_unavailable",
    "let_go": "detach",
    "impose": "set_outcome",
    "heir": "successor",
    "door": "source",
    "strangers": "unknown_inputs",
}
#: What limits and intervals do not begin with.
PREFIXES = ("MOST", "LEAST", "FEW", "MANY", "REST", "LOOK")


def identifiers(tree: ast.AST) -> Iterator[str]:
    """Yield the names of classes, functions, parameters and constants."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id.isupper():
            yield node.id


def sources() -> list[Path]:
    return [*(ROOT / "cloudo_kernel").rglob("*.py"), *(ROOT / "extension" / "cloudo_extension").rglob("*.py")]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_name_is_a_private_word(path: Path) -> None:
    names = set(identifiers(ast.parse(path.read_text(encoding="utf-8"))))
    found = {name: NAMES[name] for name in names & NAMES.keys()}
    found |= {name: "MAX_…, MIN_…, …_INTERVAL" for name in names if name.lstrip("_").split("_")[0] in PREFIXES}
    assert path.stem not in MODULES
    assert not found
