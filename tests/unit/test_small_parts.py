"""Ids, moves between states, leases, channels and values: small parts, each alone."""

from __future__ import annotations

import math
import os
import re
import threading
import uuid
import weakref
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudo_kernel import errors
from cloudo_kernel.errors import (
    CloudoError,
    FlowNotFound,
    IllegalTransition,
    InputsInvalid,
    MalformedRequest,
    Unavailable,
    from_code,
)
from cloudo_kernel.flow_api.values import to_json
from cloudo_kernel.kernel.fast_output import without_overwritten
from cloudo_kernel.models import LogLine, Status, lifecycle
from cloudo_kernel.models.ids import new_id
from cloudo_kernel.processes import channel, liveness


def test_ids_are_uuid7_and_increase() -> None:
    ids = [new_id() for _ in range(5000)]
    assert ids == sorted(set(ids))
    assert {uuid.UUID(one).version for one in ids} == {7}
    assert abs(datetime.now(UTC).timestamp() * 1000 - (uuid.UUID(ids[-1]).int >> 80)) < 5000


def test_nothing_leaves_an_end() -> None:
    for ended in (status for status in Status if status.is_ended):
        assert lifecycle.LEGAL[ended] == frozenset()
        with pytest.raises(IllegalTransition):
            lifecycle.check("x", ended, Status.RUNNING)


def test_every_state_can_be_reached_and_left() -> None:
    assert set(lifecycle.LEGAL) == set(Status)
    for status in Status:
        assert lifecycle.origins(status)


def test_a_living_workers_lease_is_not_dead_and_an_ended_ones_is(tmp_path: Path) -> None:
    import subprocess
    import sys

    mine = liveness.Lease(tmp_path, "w1")
    assert not liveness.is_dead(tmp_path, "w1")
    mine.close()
    hold = (
        "import pathlib, sys; from cloudo_kernel.processes import liveness as lease; "
        f"held = lease.Lease(pathlib.Path({str(tmp_path)!r}), 'w2'); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert not liveness.is_dead(tmp_path, "w2")
        other.kill()
        other.wait()
    assert liveness.is_dead(tmp_path, "w2")
    assert not liveness.is_dead(tmp_path, "of-another-machine")


def test_a_caller_gets_an_answer_whatever_fails_at_the_other_end() -> None:
    ours, descriptor = channel.pair()
    flushed = threading.Event()

    def flush() -> None:
        flushed.set()
        raise OSError("no disk")

    def verbs(_verb: str, _arguments: dict[str, object], /, *, is_main: bool) -> object:
        return object()  # no JSON

    server = threading.Thread(target=channel.answer, args=(ours, verbs), kwargs={"flush": flush})
    server.start()
    mine = channel.Channel(descriptor)
    for _ in range(2):
        with pytest.raises(CloudoError, match="not JSON serializable"):
            mine.call("object")
        assert flushed.wait(10)
        flushed.clear()
    channel.hang_up(ours)
    server.join(10)
    assert not server.is_alive()


def test_the_drawn_tree_of_errors_has_each_class_below_its_base() -> None:
    drawn, above = [], ["CloudoError"]
    for branch, name in re.findall(r"^    ((?:│   |    )*[├└]── )(\w+)", errors.__doc__ or "", re.MULTILINE):
        depth = len(branch) // 4
        above = [*above[:depth], name]
        drawn.append((above[depth - 1], name))
    assert sorted(drawn) == sorted(branches(CloudoError))
    assert all(hasattr(errors, name) for _, name in drawn)


def branches(base: type[CloudoError]) -> Iterator[tuple[str, str]]:
    """Yield the names of each error below `base` and of its base."""
    for kind in base.__subclasses__():
        if kind.__module__.startswith("cloudo_kernel.errors"):
            yield base.__name__, kind.__name__
        yield from branches(kind)


def test_errors_come_over_a_channel_as_themselves() -> None:
    ours, descriptor = channel.pair()

    def verbs(verb: str, arguments: dict[str, object], *, is_main: bool) -> object:
        assert is_main
        if verb == "flow":
            raise FlowNotFound("nope", similar=["note"])
        return arguments

    server = threading.Thread(target=channel.answer, args=(ours, verbs), kwargs={"flush": lambda: None})
    server.start()
    mine = channel.Channel(descriptor)
    assert mine.call("echo", text="é\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")) == {"text": "é😀"}
    with pytest.raises(FlowNotFound, match="Did you mean 'note'") as caught:
        mine.call("flow")
    assert caught.value.field == "flow_name"
    channel.hang_up(ours)
    server.join(timeout=5)
    assert not server.is_alive()
    with pytest.raises(Unavailable):
        mine.call("echo")


def test_no_error_of_a_verb_leaves_its_caller_waiting() -> None:
    ours, descriptor = channel.pair()
    looked = threading.Event()

    def verbs(verb: str, _arguments: dict[str, object], **_: bool) -> object:
        raise ZeroDivisionError(verb)

    def flush() -> None:
        looked.set()
        raise Unavailable("The store is locked.")

    server = threading.Thread(target=channel.answer, args=(ours, verbs), kwargs={"flush": flush})
    server.start()
    mine = channel.Channel(descriptor)
    with pytest.raises(CloudoError, match="ZeroDivisionError: half \\?"):
        mine.call("half \ud800")
    assert looked.wait(5)
    with pytest.raises(CloudoError, match="ZeroDivisionError: again"):
        mine.call("again")
    channel.hang_up(ours)
    server.join(timeout=5)
    assert not server.is_alive()


def test_a_descriptor_is_not_used_again_while_a_call_is_answered() -> None:
    ours, descriptor = channel.pair()
    number = ours.fileno()
    called, may_end = threading.Event(), threading.Event()

    def verbs(_verb: str, _arguments: dict[str, object], /, *, is_main: bool) -> None:
        called.set()
        may_end.wait(10)

    server = threading.Thread(target=channel.answer, args=(ours, verbs), kwargs={"flush": lambda: None})
    server.start()
    mine = channel.Channel(descriptor)
    mine.tell("slow")
    assert called.wait(10)
    channel.hang_up(ours)
    connection = weakref.ref(ours)
    del ours
    others = [channel.pair() for _ in range(2)]
    assert number not in {one for ours, theirs in others for one in (ours.fileno(), theirs)}
    may_end.set()
    server.join(10)
    assert not server.is_alive()
    assert connection() is None
    for _, theirs in others:
        os.close(theirs)


def test_calls_fail_clearly_when_the_worker_is_gone() -> None:
    ours, descriptor = channel.pair()
    mine = channel.Channel(descriptor)
    ours.close()
    with pytest.raises(Unavailable, match="worker"):
        mine.call("anything")


def test_an_unknown_error_code_is_still_an_error() -> None:
    assert str(from_code("from_the_future", "what")) == "what"
    assert isinstance(from_code("inputs_invalid", "x", "region"), InputsInvalid)


def test_times_are_written_in_utc_with_z() -> None:
    line = LogLine.model_validate({"time": "2026-11-23T10:00:00+01:00", "text": "x"})
    assert line.model_dump(mode="json")["time"] == "2026-11-23T09:00:00.000000Z"


def test_values_of_numpy_and_pandas_become_json() -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    given = {
        "n": np.int64(3),
        "f": np.float32(0.5),
        "nan": float("nan"),
        "list": (1, {2}),
        "array": np.array([[1, 2]]),
        "series": frame["a"],
        "day": date(2026, 1, 2),
        "stamp": pd.Timestamp("2026-01-02T03:04:05Z"),
        "nothing": pd.NaT,
        "missing": pd.Series([1, None], dtype="Int64"),
        "path": Path("a/b"),
        "one": np.array([7]),
        5: True,
    }
    assert to_json(given, name="x") == {
        "n": 3,
        "f": 0.5,
        "nan": None,
        "list": [1, [2]],
        "array": [[1, 2]],
        "series": [1, 2],
        "day": "2026-01-02",
        "stamp": "2026-01-02T03:04:05+00:00",
        "nothing": None,
        "missing": [1, None],
        "path": "a/b",
        "one": [7],
        "5": True,
    }


def test_what_is_no_json_is_named_with_its_place_and_type() -> None:
    with pytest.raises(MalformedRequest, match=r"report\['rows'\]\[1\] is a Lock|report\['rows'\]\[1\] is a lock"):
        to_json({"rows": [1, threading.Lock()]}, name="report")


@pytest.mark.parametrize("value", [{1: "a", "1": "b"}, {"1": "a", 1: "b"}, {None: 1, "None": 2}, {True: 1, "True": 2}])
def test_keys_that_are_the_same_in_json_are_an_error_that_names_the_key(value: dict[object, object]) -> None:
    second = list(value)[1]
    with pytest.raises(MalformedRequest, match=rf"rows\['x'\] has two keys .* the second one is {second!r}"):
        to_json({"x": value}, name="rows")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_values_stay_what_they_are(value: object) -> None:
    def same(before: object, after: object) -> bool:
        if isinstance(before, float) and not math.isfinite(before):
            return after is None
        if isinstance(before, list):
            return isinstance(after, list) and all(map(same, before, after))
        if isinstance(before, dict):
            return isinstance(after, dict) and all(same(before[key], after[key]) for key in before)
        return before == after

    assert same(value, to_json(value, name="x"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\rbb\rcc", "a\rcc"),
        ("\rlong one\rab", "\rlong one\rab"),
        ("\r1\n\r2\r3\n", "\r1\n\r3\n"),
        ("so far\r", "so far\r"),
        ("\rdone\r", "\rdone\r"),
        ("\r\x1b[32m1\x1b[0m\r\x1b[32m2\x1b[0m", "\r\x1b[32m2\x1b[0m"),
        ("\r1\n\x1b[A\r2", "\r1\n\x1b[A\r2"),
    ],
)
def test_only_updates_that_a_later_one_covers_are_left_out(text: str, shown: str) -> None:
    assert without_overwritten(text) == shown
