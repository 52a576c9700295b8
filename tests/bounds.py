"""What a caller can make the server parse: for each row of the table in `docs/security.md`, requests at its bound and
one step past it. The tests send those past it, `tests.benchmarks.bounds` measures those at it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from cloudo_kernel.security import bounds

#: A flow without a parameters cell, one with a number `n`, a webhook that anyone may call, an input request.
ANY_FLOW: Final = "any"
NUMBER_FLOW: Final = "number"
WEBHOOK: Final = "open"

_number: Final = count(1_000_000)
_CELL: Final = '{"cell_type":"code","source":"","metadata":{},"outputs":[]}'
_DAY: Final = 86_400
_IS_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Bounded:
    """One row of the table."""

    #: The row's first column.
    row: str
    method: str
    path: str
    #: Makes a request with this many of what is bound.
    make: Callable[[int], dict[str, Any]]
    #: The most that is taken.
    most: int
    #: What a caller gets past it.
    status: int
    #: What a caller gets at the bound, None for a success.
    at_status: int | None = None

    @property
    def at(self) -> dict[str, Any]:
        """The request at the bound, as httpx takes it."""
        return self.make(self.most)

    @property
    def past(self) -> dict[str, Any]:
        """The request one step past it."""
        return self.make(self.most + 1)


def _handler() -> str:
    """Return a script that is another one each time, as the server remembers those that it has read."""
    return f"def handler(system, this): pass  # {next(_number)}\n"


def _json(content: Any) -> dict[str, Any]:
    return {"content": json.dumps(content), "headers": _IS_JSON}


def _start(**fields: Any) -> dict[str, Any]:
    return _json({"flow_name": ANY_FLOW, "delay_seconds": 100 * _DAY, **fields})


def _script(text: str) -> dict[str, Any]:
    return _json({"script": text, "delay_seconds": 100 * _DAY})


def _nested(depth: int) -> Any:
    return json.loads("[" * depth + "]" * depth)


def _inputs(values: int) -> dict[str, Any]:
    """Return a start whose JSON has so many values: commas and opening brackets."""
    rest = _start(inputs={"n": []})["content"]
    others = rest.count(",") + rest.count("[") + rest.count("{")
    return _start(inputs={"n": [1] * (values - others + 1)})


def _large(size: int) -> dict[str, Any]:
    """Return a start whose body has so many bytes."""
    return _start(inputs={"n": "x" * (size - len(_start(inputs={"n": ""})["content"]))})


def _digits(size: int) -> dict[str, Any]:
    """Return a start with long numbers, whose JSON without its texts has so many bytes."""
    empty = _start(inputs={"n": []})
    left = size - sum(map(len, empty["content"].split('"')[::2]))
    numbers = ["9" * 4_000] * (left // 4_001)
    numbers.append("9" * (left - 4_001 * len(numbers)))
    return {**empty, "content": empty["content"].replace("[]", f"[{','.join(numbers)}]")}


def _yaml(size: int) -> str:
    text = "cloudo:\n  title: '"
    return f"# {text}{'x' * (size - len(text) - 1)}'\n{_handler()}".replace("\n  ", "\n#   ")


def _deep_yaml(depth: int) -> dict[str, Any]:
    # The four objects around it count, too.
    deep = f"{'[' * (depth - 4)}{']' * (depth - 4)}"
    return _script(f"# cloudo:\n#   on_error: {{flow: x, inputs: {{a: {deep}}}}}\n{_handler()}")


def _inputs_as_yaml(size: int) -> dict[str, Any]:
    """Return a request with so many bytes of YAML: a list of numbers."""
    text = "a: [" + "1," * ((size - 6) // 2) + "1]"
    return _json({"yaml": text.ljust(size)})


def _nested_yaml(depth: int) -> dict[str, Any]:
    return _json({"yaml": f"a: {'[' * (depth - 1)}{']' * (depth - 1)}"})  # the names are a level, too


def _words(number: int, head: str = "") -> str:
    """Return Python source of so many words and signs."""
    left = number - len(bounds._WORD.findall(head))
    return head + "x=1\n" * (left // 3) + "x\n" * (left % 3)


def _notebook(cells: str = "", metadata: str = "{}", form: int = 4) -> str:
    return f'{{"nbformat":{form},"nbformat_minor":2,"metadata":{metadata},"cells":[{cells}]}}'


def _values(number: int) -> str:
    empty = _notebook(metadata='{"a":[1]}')
    others = bounds._signs(empty)
    return _notebook(metadata='{"a":[' + "1," * (number - others) + "1]}")


def _old(number: int) -> str:
    cell = '{"cell_type":"code","input":"","language":"python","metadata":{},"outputs":[]}'
    empty = '{"nbformat":3,"nbformat_minor":0,"metadata":{"a":"A"},"worksheets":[{"metadata":{},"cells":[C]}]}'
    each = bounds._signs(cell) + 1
    left = number - bounds._signs(empty) + 1
    text = empty.replace("C", ",".join([cell] * (left // each)))
    return text.replace('"A"', "[" + ",".join(["1"] * (left % each)) + "]") if left % each else text


def _parameters(source: str) -> dict[str, Any]:
    cell = {"cell_type": "code", "source": source, "metadata": {"tags": ["parameters"]}, "outputs": []}
    return _script(_notebook(json.dumps(cell)))


def _chain(inputs: int) -> dict[str, Any]:
    """Return inputs with one large default: a copy of it for each."""
    return _parameters("=".join(f"x{number}" for number in range(inputs)) + "=[" + "1," * 2_200 + "]")


def _calls(size: int) -> dict[str, Any]:
    """Return as many inputs as there may be, whose defaults are no values: each keeps its source."""
    return _parameters("".join(f"x{number}=f(\n)\n" for number in range(bounds.MAX_INPUTS)).ljust(size, "\n"))


def _shared(size: int) -> dict[str, Any]:
    """Return inputs that share a text; their defaults have so many bytes together."""
    inputs = next(number for number in range(17, bounds.MAX_INPUTS) if size % number == 0)
    return _parameters("=".join(f"x{number}" for number in range(inputs)) + f"='{'a' * (size // inputs - 2)}'")


def _form(elements: int = 1, *, words: int = 0, size: int = 0) -> dict[str, Any]:
    more = {f"w{n}": n for n in range(words - 1)} if words else {}
    properties = {f"e{n}": {"element": "string", **more} for n in range(elements)}
    body: dict[str, Any] = {"properties": properties}
    if size:
        properties["e0"]["description"] = ""
        properties["e0"]["description"] = "x" * (size - len(json.dumps(body)))
    return _json({"subject": "a form", "body": body, "timeout_seconds": 100 * _DAY})


def _values_sent(values: int) -> dict[str, Any]:
    return {"content": "[" + "1," * (values - 1) + "1]", "headers": _IS_JSON}


def _fields(number: int) -> dict[str, Any]:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return {"content": "&".join(f"f{n}=1" for n in range(number)), "headers": form}


def _token(patterns: int) -> dict[str, Any]:
    flows = [f"f{n}/*" for n in range(patterns)]
    return _json({"name": "t", "actions": ["read"], "flows": flows, "expires_in_seconds": _DAY})


def _cron(size: int) -> dict[str, Any]:
    """Return a preview whose cron expression has so many characters: a list of minutes, each of two digits."""
    return _json(
        {"trigger": {"cron": f"{'10,' * ((size - 10) // 3)}{'1' * (1 + (size - 10) % 3 % 2)} * * * *".ljust(size)}}
    )


#: Row, method, path, what makes a request, the bound, the status past it.
BOUNDED: Final = (
    Bounded("JSON of a request: values", "POST", "/execution", _inputs, bounds.MAX_JSON_VALUES, 413),
    Bounded("JSON of a request: size without texts", "POST", "/execution", _digits, 20 * bounds.MAX_JSON_VALUES, 413),
    Bounded("inputs: nesting", "POST", "/execution", lambda n: _start(inputs={"n": _nested(n)}), 101, 422),
    Bounded("inputs: size", "POST", "/execution", _large, 16 * 1024 * 1024, 413),
    Bounded("name of a flow", "POST", "/execution", lambda n: _start(flow_name="x" * n), 120, 400, at_status=404),
    Bounded("tags of an execution", "POST", "/execution", lambda n: _start(tags=["x" * 200] * n), 100, 400),
    Bounded(
        "script: words and signs",
        "POST",
        "/execution",
        lambda n: _script(_words(n, _handler())),
        bounds.MAX_SCRIPT_WORDS,
        400,
    ),
    Bounded(
        "script: size",
        "POST",
        "/execution",
        lambda n: _script(f"{_handler()}#".ljust(n, "x")),
        bounds.MAX_SCRIPT_BYTES,
        400,
    ),
    Bounded(
        "metadata of a script: size", "POST", "/execution", lambda n: _script(_yaml(n)), bounds.MAX_YAML_BYTES, 400
    ),
    Bounded("metadata of a script: nesting", "POST", "/execution", _deep_yaml, bounds.MAX_YAML_DEPTH, 400),
    Bounded("inputs as YAML: size", "POST", "/inputs/yaml", _inputs_as_yaml, bounds.MAX_YAML_BYTES, 400),
    Bounded("inputs as YAML: nesting", "POST", "/inputs/yaml", _nested_yaml, bounds.MAX_YAML_DEPTH, 400),
    Bounded("notebook: values", "POST", "/execution", lambda n: _script(_values(n)), bounds.MAX_NOTEBOOK_VALUES, 400),
    Bounded(
        "notebook of the format 3: values",
        "POST",
        "/execution",
        lambda n: _script(_old(n)),
        bounds.MAX_OLD_NOTEBOOK_VALUES,
        400,
    ),
    Bounded(
        "parameters cell: words and signs",
        "POST",
        "/execution",
        lambda n: _parameters(_words(n)),
        bounds.MAX_PARAMETERS_WORDS,
        400,
    ),
    Bounded(
        "parameters cell: size",
        "POST",
        "/execution",
        lambda n: _parameters(f"x='{'a' * (n - 4)}'"),
        bounds.MAX_PARAMETERS_BYTES,
        400,
    ),
    Bounded("parameters cell: sources of defaults", "POST", "/execution", _calls, bounds.MAX_PARAMETERS_BYTES, 400),
    Bounded("parameters cell: inputs", "POST", "/execution", _chain, bounds.MAX_INPUTS, 400),
    Bounded("parameters cell: defaults", "POST", "/execution", _shared, bounds.MAX_DEFAULTS_BYTES, 400),
    Bounded("form: size", "POST", "/message", lambda n: _form(size=n), 256 * 1024, 422),
    Bounded("form: elements", "POST", "/message", _form, 200, 422),
    Bounded("form: words of an element", "POST", "/message", lambda n: _form(50, words=n), 50, 422),
    Bounded("cron expression", "POST", "/schedule/preview", _cron, 200, 400),
    Bounded("search", "GET", "/execution", lambda n: {"params": {"q": "x" * n}}, 1000, 400),
    Bounded("page of a list", "GET", "/execution", lambda n: {"params": {"limit": n}}, 500, 400),
    Bounded("bulk", "POST", "/execution/bulk", lambda n: _json({"action": "cancel", "ids": ["x"] * n}), 500, 400),
    Bounded("patterns of a token", "POST", "/token", _token, 50, 400),
    Bounded("pattern of files: parts", "GET", "/file", lambda n: {"params": {"glob": "/".join(["x"] * n)}}, 40, 400),
    Bounded("pattern of files: **", "GET", "/file", lambda n: {"params": {"glob": "**/" * n + "x"}}, 3, 400),
    Bounded("content of a file", "PUT", "/file/large", lambda n: _json({"content": "x" * n}), 16 * 1024 * 1024, 413),
    Bounded("value of a setting", "PUT", "/setting/large", lambda n: _json({"value": "x" * (n - 2)}), 1024 * 1024, 422),
    Bounded(
        "Idempotency-Key",
        "POST",
        "/execution",
        lambda n: _start() | {"headers": {**_IS_JSON, "Idempotency-Key": "x" * n}},
        255,
        400,
    ),
    Bounded("webhook: size", "POST", f"webhook/{WEBHOOK}", lambda n: {"content": "x" * n}, 1024 * 1024, 413),
    Bounded("webhook: values of JSON", "POST", f"webhook/{WEBHOOK}", _values_sent, bounds.MAX_JSON_VALUES, 413),
    Bounded("webhook: fields of a form", "POST", f"webhook/{WEBHOOK}", _fields, 10_000, 400),
    Bounded(
        "body of a request",
        "PUT",
        "/setting/large",
        lambda n: _json({"value": "x" * (n - 13)}),
        16 * 1024 * 1024,
        413,
        at_status=422,
    ),
)
