"""`cloudo schedule` and `cloudo schedules` as people use them: real processes, a real terminal, a real store."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pexpect
import pytest

from cloudo_kernel.models import Status
from cloudo_kernel.service import Service
from cloudo_kernel.store import Store
from cloudo_kernel.worker.worker import Worker
from cloudo_kernel.workspace.catalog import Catalog
from cloudo_kernel.workspace.layout import Workspace
from tests.acceptance.shell import Shell
from tests.flows import write_flow
from tests.server import until

pytestmark = pytest.mark.timeout(180)

IN_TURN = """
import contextlib, io, json, sys
from cloudo_kernel.cli import main
told = []
for words in json.loads(sys.argv[1]):
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    told.append((code, *(stream.buffer.getvalue().decode() for stream in (out, err))))
print(json.dumps(told))
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    write_flow(shell.workspace, "reports/sales", "this.set_output('zip', zip)", parameters="zip: str = '0'\ntop = 3")
    return shell


@pytest.fixture
def store(shell: Shell) -> Iterator[Store]:
    store = Store.open(Workspace(shell.workspace).database_url)
    yield store
    store.close()


@pytest.fixture
def api(shell: Shell, store: Store) -> Service:
    return Service(store, Catalog(Workspace(shell.workspace), library=()), user_name="test")


def said_by(shell: Shell, *commands: tuple[str, ...]) -> list[tuple[int, str, str]]:
    """Run commands one after another in one process, as its start takes longest; return code, output and errors."""
    done = subprocess.run(
        [sys.executable, "-c", IN_TURN, json.dumps(commands)],
        cwd=shell.workspace,
        env=shell.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return [(code, out, err) for code, out, err in json.loads(done.stdout)]


def test_a_schedule_is_made_listed_changed_run_and_deleted(shell: Shell, api: Service) -> None:
    where = ("--daily", "8:30", "--timezone", "Europe/Vienna", "--until", "2035-01-01")
    done = shell.run("schedule", "reports/sales", *where, "-p", "zip=01234", "--overlap", "queue")
    [made] = api.schedules().items
    own = made.id[-8:]
    first, second = done.stdout.splitlines()
    assert first == f"{own}  reports/sales: daily at 08:30 (Europe/Vienna)"
    assert second.startswith("next: ")
    assert second.count("08:30") == 3
    assert second.endswith(" … (Europe/Vienna)")
    assert "No worker is running" in done.stderr
    assert (made.inputs, made.overlap, made.trigger.daily_at) == ({"zip": "01234"}, "queue", "08:30")

    edit = ("schedules", "edit", own, "--every", "1h30m", "--grid", "--start", "2035-01-01", "--name", "x")
    follow = ("--on-error", '{"flow": "reports/sales", "inputs": {"top": 1}}', "--on-error", "https://example.com/hook")
    listed, nothing, paused, resumed, _, shown_more, edited = said_by(
        shell,
        ("schedules", "--flow", "reports/sales"),
        ("schedules", "-q", "nothing like that"),
        ("schedules", "pause", own),
        ("schedules", "resume", made.id, "--json"),
        ("schedules", "edit", own, *follow, "--on-success", "[]", "--jitter", "2m", "--pause-after", "3"),
        ("schedules", "show", own),
        (*edit, "--on-error", "null", "--json"),
    )
    heads, row = listed[1].splitlines()
    assert heads.split() == ["ID", "NAME", "FLOW", "WHEN", "NEXT", "LAST", "STATE"]
    assert row.startswith(f"{own}  reports/sales  reports/sales  daily at 08:30 (Europe/Vienna)  ")
    assert row.endswith("  active")
    assert "No matching schedules" in nothing[1]
    assert paused[1].endswith(": paused\n")
    assert json.loads(resumed[1])[0]["enabled"] is True
    [record] = json.loads(edited[1])
    assert "  jitter      up to 120 s\n  pause       after 3 failures in a row\n" in shown_more[1]
    assert "on error    starts reports/sales with top=1, calls https://example.com/hook" in shown_more[1]
    assert (record["on_error"], record["on_success"], record["on_recovery"]) == (None, [], None)
    assert record["trigger"] == {"every_seconds": 5400, "wait": False}
    assert (record["name"], record["inputs"], record["start"][:10]) == ("x", {"zip": "01234"}, "2034-12-31")

    assert shell.run("schedules", "run", own).stdout.endswith("reports/sales iteration #1: started\n")
    shell.until_status(Status.ENDED_SUCCESS)
    history, table, shown, deleted, none = said_by(
        shell,
        ("schedules", "history", own, "--json"),
        ("schedules", "history", own),
        ("schedules", "show", own),
        ("schedules", "delete", own, own),
        ("schedules",),
    )
    [past] = json.loads(history[1])
    assert api.execution(past["execution_id"]).output_value == {"zip": "01234"}
    assert "out of turn" in table[1]
    assert "every 1 hour 30 minutes on the grid" in shown[1]
    assert shown[1].endswith("Next (Europe/Vienna):\n  Mon 1 Jan 2035 00:00\n")  # and nothing after its end
    assert (deleted[0], "There is no schedule" in deleted[2]) == (1, True)
    assert "No schedules yet" in none[1]


def test_times_are_read_as_people_write_them(shell: Shell) -> None:
    wanted: dict[tuple[str, ...], dict[str, Any]] = {
        ("--in", "1h30m"): {"delay_seconds": 5400},
        ("--cron", "0 9 * * mon-fri", "--max-iterations", "2"): {"cron": "0 9 * * mon-fri"},
        ("--every", "10m"): {"every_seconds": 600},
        ("--at", "2035-05-01 08:30"): {"at": "2035-04-30T23:30:00.000000Z"},
        ("--at", "2035-05-01 08:30+02:00"): {"at": "2035-05-01T06:30:00.000000Z"},
    }
    where = ("--timezone", "Asia/Tokyo", "--json")
    done = said_by(shell, *(("schedule", "reports/sales", *words, *where) for words in wanted))
    assert [json.loads(out)["trigger"] for _, out, _ in done] == list(wanted.values())
    [(_, out, _)] = said_by(shell, ("schedule", "reports/sales", "--at", "tomorrow 08:30", *where))
    at = datetime.fromisoformat(json.loads(out)["trigger"]["at"])
    assert timedelta() < at - datetime.now(UTC) < timedelta(days=2)
    assert (at.hour, at.minute) == (23, 30)


def test_an_end_a_window_and_a_pause_after_failures_are_taken_away(shell: Shell, api: Service) -> None:
    rules = ("--until", "tomorrow 08:30", "--catch-up-window", "1h", "--pause-after", "3", "--jitter", "5")
    said_by(shell, ("schedule", "reports/sales", "--every", "1h", "--timezone", "Asia/Tokyo", *rules))
    [made] = api.schedules().items
    assert made.end_at is not None
    assert made.end_at.hour == 23, "08:30 in Tokyo"
    assert (made.catch_up_window_seconds, made.pause_on_error_count, made.jitter_seconds) == (3600, 3, 5)
    none = ("--until", "none", "--catch-up-window", "none", "--pause-after", "0", "--jitter", "0")
    said_by(shell, ("schedules", "edit", made.id, *none), ("schedules", "edit", made.id, "--max-iterations", "9"))
    [edited] = api.schedules().items
    assert (edited.end_at, edited.catch_up_window_seconds) == (None, None)
    assert (edited.pause_on_error_count, edited.jitter_seconds) == (None, 0)
    assert (edited.next_run, edited.start, edited.max_iterations) == (made.next_run, made.start, 9)


def test_a_flow_runs_every_month(shell: Shell, api: Service) -> None:
    made, wrong_day, no_time, help_text = said_by(
        shell,
        ("schedule", "reports/sales", "--monthly", "31 8:30", "--timezone", "Europe/Berlin"),
        ("schedule", "reports/sales", "--monthly", "fifth monday 8:30"),
        ("schedule", "reports/sales", "--monthly", "31"),
        ("schedule", "--help"),
    )
    [schedule] = api.schedules().items
    described = "monthly on the 31st, or the last day of shorter months, at 08:30 (Europe/Berlin)"
    first, second = made[1].splitlines()
    assert first.endswith(f"reports/sales: {described}")
    assert second.count("08:30") == 3
    assert schedule.trigger.model_dump(mode="json") == {"monthly": {"day": 31, "at": "08:30"}}
    assert wrong_day[0] == 2
    assert 'monthly.day: it is a number from 1 to 31, "last", or first' in " ".join(wrong_day[2].split())
    assert (no_time[0], "Invalid value for --monthly" in no_time[2]) == (2, True)
    assert "--monthly 'DAY HH:MM'" in help_text[1]
    [edited, backfilled] = said_by(
        shell,
        ("schedules", "edit", schedule.id, "--monthly", "last friday 18:00", "--json"),
        ("schedules", "backfill", schedule.id, "--from", "2026-01-01", "--to", "2026-03-01", "--dry-run"),
    )
    assert json.loads(edited[1])[0]["trigger"] == {"monthly": {"day": "last friday", "at": "18:00"}}
    assert "Fri 30 Jan" in backfilled[1]
    assert "Fri 27 Feb" in backfilled[1]


def test_what_makes_no_sense_or_is_unusual_is_refused(shell: Shell, api: Service) -> None:
    wanted: dict[tuple[str, ...], tuple[int, str]] = {
        (): (2, "Give one of --at, --in, --every, --daily, --monthly, --cron."),
        ("--in", "5", "--daily", "08:30"): (2, "not --in and --daily"),
        ("--in", "5x"): (2, "Invalid value for --in: '5x' is not a duration"),
        ("--at", "whenever"): (2, "Invalid value for --at: 'whenever' is not a time"),
        ("--at", "08:30", "--timezone", "Vienna"): (2, "Did you mean Europe/Vienna?"),
        ("--daily", "08:30", "--grid"): (2, "Wait and start require every_seconds."),
        ("--daily", "08:30", "--until", "never"): (2, "Invalid value for --until: 'never' is not a time"),
        ("--cron", "0 0 31 2 *"): (1, "is never due"),
        ("--daily", "08:30", "-p", "top=many"): (1, "top"),
        ("--at", "2001-01-01"): (1, "Nothing was saved. Confirm with --yes."),
        ("--every", "0.5"): (1, "below one second"),
        ("--daily", "08:30", "--catch-up-window", "long"): (
            2,
            "Invalid value for --catch-up-window: 'long' is not a duration",
        ),
        ("--daily", "08:30", "--on-error", "nowhere"): (1, "There is no flow 'nowhere'"),
        ("--daily", "08:30", "--on-error", "{flow}"): (2, "Invalid value for --on-error: '{flow}' is not valid JSON"),
        ("--daily", "08:30", "--on-error", "https://"): (2, "on_error"),
    }
    done = said_by(shell, *(("schedule", "reports/sales", *words) for words in wanted))
    for (words, (code, said)), found in zip(wanted.items(), done, strict=True):
        assert found[:2] == (code, ""), (words, found)
        assert said in found[2], words
    assert api.schedules().items == ()


def test_a_terminal_is_asked_about_what_is_unusual(shell: Shell, api: Service) -> None:
    command = ["-m", "cloudo_kernel", "schedule", "reports/sales", "--at", "2035-10-28 02:30"]
    command += ["--timezone", "Europe/Vienna"]
    where: dict[str, Any] = {"cwd": str(shell.workspace), "env": {**shell.environment, "NO_COLOR": "1"}}
    for typed, code in (("n", 1), ("", 0)):
        assert api.schedules().items == ()
        terminal = pexpect.spawn(sys.executable, command, encoding="utf-8", timeout=20, **where)
        terminal.setwinsize(50, 200)
        terminal.expect(r"occurs twice in Europe/Vienna.*next: Sun 28 Oct 2035 02:30\+02:00 .*Save it\? \[Y/n\]: ")
        terminal.sendline(typed)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == code
    assert len(api.schedules().items) == 1


def test_the_list_tells_what_is_broken_finished_and_last_happened(shell: Shell, api: Service, store: Store) -> None:
    write_flow(shell.workspace, "gone", "1")
    said_by(
        shell,
        ("schedule", "gone", "--daily", "08:30"),
        ("schedule", "reports/sales", "--in", "0", "--name", "soon"),
    )
    (shell.workspace / "flows" / "gone.ipynb").unlink()
    worker = Worker(store, Catalog(Workspace(shell.workspace), library=()))
    worker.start()
    try:
        until(lambda: api.schedules(q="soon").items[0].last_occurrence)
        said = shell.run("schedule", "reports/sales", "--in", "1h")
        assert said.stderr == ""  # there is a worker
    finally:
        worker.stop()
    _, _, soon, gone = shell.run("schedules").stdout.splitlines()
    assert " started " in soon
    assert soon.endswith("  finished")
    assert gone.endswith("  broken: There is no flow 'gone'.")


def test_past_times_are_told_and_run(shell: Shell, api: Service) -> None:
    where = ("--daily", "8:30", "--timezone", "Europe/Vienna", "--pin", "--json")
    [(_, out, _)] = said_by(shell, ("schedule", "reports/sales", *where))
    made = json.loads(out)
    assert made["pin_source"] is True
    span = ("schedules", "backfill", made["id"], "--from", "2026-11-01", "--to", "2026-11-03 08:00")
    told, unsure, ran, nothing, odd, wrong, follow = said_by(
        shell,
        (*span, "--dry-run"),
        span,
        (*span, "--yes", "--json"),
        (*span, "--yes"),
        ("schedules", "backfill", made["id"], "--from", "2026-11-03", "--to", "2026-11-01"),
        ("schedules", "backfill", made["id"], "--from", "whenever"),
        ("schedules", "edit", made["id"], "--no-pin", "--json"),
    )
    assert told[1].splitlines()[1:] == ["2 times (Europe/Vienna):", "  Sun 1 Nov 08:30", "  Mon 2 Nov 08:30"]
    assert (unsure[0], "Confirm with --yes" in unsure[2]) == (1, True)
    occurrences = api.occurrences(made["id"]).items
    assert [one["execution_id"] for one in json.loads(ran[1])] == [one.execution_id for one in occurrences[::-1]]
    assert "each has started something already" in nothing[1]
    assert (odd[0], "start is before end" in odd[2]) == (1, True)
    assert (wrong[0], "'whenever' is neither a day such as 2026-11-01" in wrong[2]) == (2, True)
    assert json.loads(follow[1])[0]["pin_source"] is False
