"""The log as lines of JSON."""

from __future__ import annotations

import json
import logging
import sys
import threading
from typing import Any

import pytest

from cloudo_kernel.errors import MalformedRequest
from cloudo_kernel.json_log import JsonFormatter, format_of_environment
from cloudo_kernel.models.ids import new_id


def line(formatter: JsonFormatter, message: str, *words: object, **given: Any) -> dict[str, Any]:
    record = logging.getLogger("cloudo_kernel.worker").makeRecord(
        "cloudo_kernel.worker", logging.ERROR, __file__, 1, message, words, given.pop("exc_info", None), extra=given
    )
    text = formatter.format(record)
    assert text.isascii()
    assert "\n" not in text
    return dict(json.loads(text))


def test_a_line_has_what_its_record_has_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDO_DATABASE_URL", "postgresql+psycopg://ada:p%40ssw0rd@host/cloudo")
    formatter = JsonFormatter(["servers-token"])
    try:
        raise ValueError("refused p@ssw0rd")
    except ValueError:
        failure = sys.exc_info()
    execution_id = new_id()
    about = {"execution_id": execution_id, "reason": KeyError("servers-token"), "executions": ("a", "b"), "level": 7}
    found = line(formatter, "It\nfailed: %s\r\u2028\ud800", "servers-token", exc_info=failure, **about)
    assert found["time"].endswith("Z")
    assert (found["level"], found["logger"]) == ("ERROR", "cloudo_kernel.worker")
    assert found["message"].startswith("It\nfailed: •••")
    assert (found["execution_id"], found["executions"]) == (execution_id, ["a", "b"])
    assert found["exception"].startswith("Traceback")
    assert found["exception"].endswith("ValueError: refused •••")
    assert "servers-token" not in str(found)
    assert list(found)[:4] == ["time", "level", "logger", "message"]


def test_a_line_from_the_thread_of_a_run_names_its_execution() -> None:
    execution_id, found = new_id(), []
    thread = threading.Thread(
        target=lambda: found.append(line(JsonFormatter(), "x")), name=f"cloudo-run-{execution_id}"
    )
    thread.start()
    thread.join()
    assert found[0]["execution_id"] == execution_id
    assert "execution_id" not in line(JsonFormatter(), "x")


def test_an_unknown_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert format_of_environment() == "text"
    monkeypatch.setenv("CLOUDO_LOG_FORMAT", "xml")
    with pytest.raises(MalformedRequest, match=r"CLOUDO_LOG_FORMAT is 'xml', but must be one of: text, json\."):
        format_of_environment()
