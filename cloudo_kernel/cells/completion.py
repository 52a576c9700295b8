"""Completes names of flows, their inputs and enumerated values, in magics and in calls of `system` and flows."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, Final

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from cloudo_kernel.cells.connection import system_of
from cloudo_kernel.errors import CloudoError
from cloudo_kernel.flow_api import Flow, System
from cloudo_kernel.flow_api.signature import properties_of

_NAME: Final = "cloudo"
#: A magic at the beginning of a line or after `=`, and its words.
_MAGIC: Final = re.compile(r"(?:^|=)\s*%%?(?:flow|schedule|executions)\s+(?P<words>.*)$")
#: `system.flow("na`, `this.flow('na`, `system.schedule("na`.
_FLOW_NAME: Final = re.compile(r"(?:(?P<owner>[\w.]+)|\))\.(?:flow|schedule)\(\s*['\"](?P<begun>[^'\"]*)$")
#: `….flow("name").run(n=1, re`, `this.flow("name", re`, `flow.start(re`.
_ARGUMENTS: Final = re.compile(
    r"(?:(?:(?P<owner>[\w.]+)|\))\.flow\(\s*(['\"])(?P<name>[^'\"]+)\2\s*(?:\)\.(?:run|start)\(|,)"
    r"|(?P<flow>[\w.]+)\.(?:run|start)\()(?P<arguments>[^()]*)$"
)
_ARGUMENT: Final = re.compile(r"^(?P<name>\w+)\s*=\s*(?P<value>.*)$")

#: The text that is completed, its completions, and whether other completions make no sense.
Found = tuple[str, Iterable[str], bool]


def install(shell: Any) -> None:
    """Add the completion to a shell of IPython. Doing it twice has no effect."""
    matchers = shell.Completer.custom_matchers
    if not any(getattr(one, "matcher_identifier", None) == _NAME for one in matchers):
        matchers.append(_matcher(shell))


def _matcher(shell: Any) -> Any:
    @context_matcher(identifier=_NAME)  # type: ignore[untyped-decorator]  # IPython
    def match(context: CompletionContext) -> SimpleMatcherResult:
        try:
            begun, texts, is_all = _found(shell, context.text_until_cursor) or ("", (), False)
        except CloudoError:  # completion is no place to tell that no server answers
            begun, texts, is_all = "", (), False
        found = [SimpleCompletion(text=text, type="param") for text in texts if text.startswith(begun)]
        return {"completions": found, "matched_fragment": begun, "suppress": is_all and bool(found)}

    return match


def _found(shell: Any, text: str) -> Found | None:
    if magic := _MAGIC.search(text):
        return _in_magic(system_of(shell), magic["words"])
    if name := _FLOW_NAME.search(text):
        return name["begun"], _names(_system(shell, name["owner"])), True
    if call := _ARGUMENTS.search(text):
        flow = _value(shell, call["flow"]) if call["flow"] else _system(shell, call["owner"]).flow(call["name"])
        return _in_call(flow, call["arguments"]) if isinstance(flow, Flow) else None
    return None


def _in_magic(system: System, words: str) -> Found | None:
    """Complete the words of a magic: the name of a flow, then `input=`, then its value."""
    name, rest = _first_word(words)
    if rest is None:
        return words, map(shlex.quote, _names(system)), True
    inputs = properties_of(system.flow(name).get("input_schema"))
    *given, begun = rest.split(" ")
    key, equals, value = begun.partition("=")
    if equals:
        return value, [shlex.quote(_plain(one)) for one in _values(inputs.get(key, {}))], True
    return begun, _unused(inputs, [word.partition("=")[0] for word in given]), True


def _first_word(words: str) -> tuple[str, str | None]:
    """Return the first word without its quotes, and the text after it; None while it is typed."""
    found = re.match(r"(?:'([^']*)'|\"([^\"]*)\"|([^\s'\"]+))\s(.*)$", words)
    return (found[1] or found[2] or found[3] or "", found[4]) if found else (words, None)


def _in_call(flow: Flow, arguments: str) -> Found:
    """Complete the arguments of a call: `input=`, then its value."""
    inputs = properties_of(flow.get("input_schema"))
    *given, begun = re.split(r",\s*", arguments)
    begun = begun.lstrip()
    if argument := _ARGUMENT.match(begun):
        value = argument["value"]
        quote = repr if value.startswith("'") else _as_python
        return value, map(quote, _values(inputs.get(argument["name"], {}))), True
    names = _unused(inputs, [one.partition("=")[0].strip() for one in given])
    return begun, (name for name in names if name[:-1].isidentifier()), False


def _unused(inputs: Iterable[str], given: Iterable[str]) -> list[str]:
    used = set(given)
    return [f"{name}=" for name in inputs if name not in used]


def _values(schema: Mapping[str, Any]) -> list[Any]:
    """Return the values that an input can have, if they can be counted."""
    parts = (schema, *schema.get("anyOf", ()))
    values = [value for part in parts for value in part.get("enum", ())]
    return values + [value for part in parts if part.get("type") == "boolean" for value in (False, True)]


def _as_python(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _names(system: System) -> list[str]:
    return [flow.name for flow in system.flows()]


def _system(shell: Any, name: str | None) -> System:
    found = _value(shell, name) if name else None
    return found if isinstance(found, System) else system_of(shell)


def _value(shell: Any, dotted: str) -> Any:
    """Return the value of a name, or None. Nothing is called to find it."""
    first, *rest = dotted.split(".")
    value = shell.user_ns.get(first, shell.builtin_trap.auto_builtins.get(first))
    for part in rest:
        value = getattr(value, "__dict__", {}).get(part)
    return value
