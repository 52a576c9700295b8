"""What the command line says and does about executions: real processes, workspaces and kernels."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from cloudo_kernel.models import Status
from tests.acceptance.shell import ENDLESS, Shell, living, pending
from tests.flows import write_flow
from tests.server import until

pytestmark = pytest.mark.timeout(180)


def test_executions_are_listed_newest_first_and_filtered(played: tuple[Shell, dict[str, Any]]) -> None:
    shell, record = played
    lines = shell.run(
        "executions", "--status", "success", "--flow", "reports/täglich", "-q", "Named"
    ).stdout.splitlines()
    assert lines[0].split() == ["ID", "NAME", "STATUS", "CREATED", "TOOK", "BY", "MESSAGE"]
    assert lines[1].startswith(f"{record['id'][-8:]}  Named")
    assert lines[1].endswith("all is well")
    assert shell.json("executions", "--status", "error") == []
    assert "No matching executions" in shell.run("executions", "--status", "ERROR").stdout


@pytest.mark.parametrize("part", [slice(None), slice(-8, None), slice(-4, None), slice(0, 30)])
def test_an_execution_is_shown_by_any_part_that_no_other_has(played: tuple[Shell, dict[str, Any]], part: slice) -> None:
    shell, record = played
    assert shell.json("show", record["id"][part].upper())["id"] == record["id"]


def test_an_execution_is_shown_with_all_that_is_known(played: tuple[Shell, dict[str, Any]]) -> None:
    shell, record = played
    told = shell.run("show", record["id"]).stdout
    for part in ("Named", record["id"], "success", "all is well", "01234", "Inputs:", "Outputs:", "about to n=3"):
        assert part in told
    assert record["notebook"] in told


def test_a_part_of_several_ids_is_refused_with_their_names(shell: Shell) -> None:
    first, second = (pending(shell, "1").id for _ in range(2))
    done = shell.run("show", first[:8])  # of the same minute
    assert done.returncode == 1
    assert first in done.stderr
    assert second in done.stderr


def test_the_log_is_printed(played: tuple[Shell, dict[str, Any]]) -> None:
    shell, record = played
    told = shell.run("log", record["id"][-8:], "--follow").stdout
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  info     about to n=3\n", told)
    assert [line["text"] for line in shell.json("log", record["id"])] == ["about to n=3"]


def test_results_are_listed_printed_and_saved(served: Shell) -> None:
    write_flow(
        served.workspace,
        "shows",
        "from matplotlib.figure import Figure\nfigure = Figure()\nfigure.subplots().plot([3, 1, 2])",
        "this.show('chart', figure)",
        "this.show('said', '\\x1b[31mred\\x07')",
        "this.show('page', {'text/html': '<p>hello</p>'})",
    )
    execution_id = served.json("run", "shows")["id"]
    lines = served.run("results", execution_id).stdout.splitlines()
    assert lines[0].split() == ["NAME", "KIND", "SIZE", "WHEN", "TYPES"]
    assert [line.split()[:2] for line in lines[1:]] == [["chart", "image"], ["said", "text"], ["page", "HTML"]]
    assert [one["name"] for one in served.json("results", execution_id)] == ["chart", "said", "page"]
    assert served.run("results", execution_id, "said").stdout == "red\N{REPLACEMENT CHARACTER}\n"
    assert "only text/html. Save it with -o FILE." in served.run("results", execution_id, "page").stdout
    assert served.json("results", execution_id, "page")["data"] == {"text/html": "<p>hello</p>"}
    image, page = served.home / "chart.png", served.home / "page.html"
    assert served.run("results", execution_id, "chart", "-o", str(image)).stdout == f"{image}: image/png\n"
    assert image.read_bytes().startswith(b"\x89PNG")
    served.run("results", execution_id, "page", "-o", str(page))
    assert page.read_text() == "<p>hello</p>"
    assert served.run("results", execution_id, "-o", str(page)).returncode == 2
    missing = served.run("results", execution_id, "other")
    assert (missing.returncode, "other" in missing.stderr) == (1, True)


def test_cancel_ends_what_runs_and_what_waits_and_tells_what_had_ended(shell: Shell) -> None:
    write_flow(shell.workspace, "endless", ENDLESS)
    assert shell.run("run", "endless", "--detach").returncode == 0
    running = shell.until_status(Status.RUNNING).id
    waiting = pending(shell, "1").id
    done = shell.run("cancel", running, waiting[-8:])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{running[-8:]}  endless: cancelled", f"{waiting[-8:]}  script: cancelled"]
    again = shell.run("cancel", running)
    assert (again.returncode, again.stdout) == (1, "")
    assert "ENDED_CANCELLED" in again.stderr
    assert shell.run("log", waiting).stderr == "Nothing was logged.\n"
    until(lambda: not living(shell))


def test_pause_and_resume_tell_what_became_of_each(shell: Shell) -> None:
    waiting = pending(shell, "1").id
    done = shell.run("pause", waiting)
    assert (done.returncode, done.stdout) == (0, f"{waiting[-8:]}  script: paused\n")
    again = shell.run("pause", waiting)
    assert (again.returncode, again.stdout) == (1, "")
    assert "PAUSED" in again.stderr
    assert shell.run("resume", waiting).stdout == f"{waiting[-8:]}  script: pending\n"
    assert shell.run("resume", waiting).returncode == 1


def test_a_running_one_is_paused_before_its_next_cell(shell: Shell) -> None:
    wait = "import time, pathlib\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"
    write_flow(shell.workspace, "patient", wait, "2")
    assert shell.run("run", "patient", "--detach").returncode == 0
    running = shell.until_status(Status.RUNNING).id
    assert shell.run("pause", running).stdout.endswith("patient: pausing after the current cell\n")
    (shell.workspace / "flows" / "go").touch()
    shell.until_status(Status.PAUSED)
    assert shell.run("resume", running).returncode == 0
    shell.until_status(Status.ENDED_SUCCESS)
    until(lambda: not living(shell))


def test_retry_starts_an_ended_one_anew(served: Shell) -> None:
    shell = served
    write_flow(shell.workspace, "adding", "this.set_output('sum', a + b)", parameters="a = 1\nb = 2")
    assert shell.run("run", "adding", "-p", "a=10", "--name", "my sum").returncode == 0
    first = shell.json("executions", "--flow", "adding")[0]["id"]
    again = shell.json("retry", first)
    assert (again["output_value"], again["name"], again["retry_of"]) == ({"sum": 12}, "my sum", first)
    other = shell.run("retry", first, "-p", "b=5", "--follow")
    assert other.returncode == 0
    assert re.search(r"sum +6$", other.stdout, re.MULTILINE)
    waiting = pending(shell, "1", delay_seconds=1e6).id
    assert "Only ended ones" in shell.run("retry", waiting).stderr


def test_many_are_retried_and_deleted_and_each_tells_what_became_of_it(served: Shell) -> None:
    shell = served
    write_flow(shell.workspace, "inverse", "this.set_output('inverse', 1 / n)", parameters="n = 4")
    assert shell.run("run", "inverse").returncode == 0
    assert shell.run("run", "inverse", "-p", "n=0").returncode == 1
    ids = [one["id"] for one in shell.json("executions", "--flow", "inverse")]
    again = shell.run("retry", *ids, "--json")
    assert again.returncode == 1  # one of them fails as before
    assert [one["status"] for one in json.loads(again.stdout)] == ["ENDED_ERROR", "ENDED_SUCCESS"]
    healed = shell.run("retry", *ids, "-p", "n=2")
    assert (healed.returncode, healed.stdout.count("inverse: success")) == (0, 2)
    waiting = pending(shell, "1", delay_seconds=1e6).id
    gone = shell.run("delete", ids[0][-8:], waiting, "00000000", ids[1], ids[1])
    assert gone.returncode == 1
    assert gone.stdout.splitlines() == [f"{one[-8:]} is deleted." for one in ids]
    assert len(gone.stderr.splitlines()) == 2
    assert "There is no execution" in gone.stderr
    assert waiting in gone.stderr
    assert not {*ids} & {one["id"] for one in shell.json("executions", "--flow", "inverse")}
    assert [
        one["ok"]
        for one in shell.json("delete", shell.json("executions", "--flow", "inverse", "--status", "error")[0]["id"])
    ] == [True]
    assert "one at a time" in shell.run("retry", *ids, "--follow").stderr
