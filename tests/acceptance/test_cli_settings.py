"""`cloudo settings` as people use it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.acceptance.shell import Shell
from tests.flows import write_flow

TIMEOUT = "client.input.timeout.minutes"


def test_settings_are_listed_with_their_defaults(shell: Shell) -> None:
    assert re.search(rf"^{TIMEOUT} +default +10$", shell.run("settings").stdout, re.MULTILINE)
    assert shell.run("settings", "set", TIMEOUT, "30").stdout == f"{TIMEOUT} is 30 now.\n"
    listed = {setting["name"]: setting for setting in shell.json("settings")}
    assert listed[TIMEOUT]["value"] == 30
    assert listed[TIMEOUT]["modified_by"]
    assert listed["client.flow.library.fallback"]["modified_at"] is None


@pytest.mark.parametrize(
    ("word", "value"),
    [("[north, {a: 1}]", ["north", {"a": 1}]), ("no", "no"), ("null", None)],
)
def test_a_value_is_read_as_yaml(shell: Shell, word: str, value: object) -> None:
    assert shell.json("settings", "set", "team.x", word)["value"] == value
    assert shell.json("settings", "show", "team.x")["value"] == value


def test_a_whole_document_comes_from_standard_input(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("# the plan\nnorth:\n  - 1\n  - two\nwhen: 2025-03-31\n")
    with (tmp_path / "plan.yaml").open() as plan:
        done = shell.run("settings", "set", "team.plan", "-", stdin=plan)
    assert done.returncode == 0, done
    assert shell.run("settings", "show", "team.plan").stdout == '{"north": [1, "two"], "when": "2025-03-31"}\n'
    (tmp_path / "plan.yaml").write_text("a: [1")
    with (tmp_path / "plan.yaml").open() as plan:
        refused = shell.run("settings", "set", "team.plan", "-", stdin=plan)
    assert refused.returncode == 2
    assert "not YAML" in refused.stderr


def test_the_history_tells_what_became_of_a_setting(shell: Shell) -> None:
    assert shell.run("settings", "history", TIMEOUT).stdout == f"{TIMEOUT} has not been changed yet.\n"
    for value in ("5", "7"):
        shell.run("settings", "set", TIMEOUT, value)
    assert shell.run("settings", "delete", TIMEOUT).returncode == 0
    lines = shell.run("settings", "history", TIMEOUT).stdout.splitlines()
    assert [line.split()[-2:] for line in lines] == [["BEFORE", "AFTER"], ["-", "5"], ["5", "7"], ["7", "-"]]
    assert [event["data"] for event in shell.json("settings", "history", TIMEOUT)][1] == {"before": 5, "after": 7}
    assert shell.run("settings", "show", TIMEOUT).stdout == "10\n"


def test_what_does_not_fit_or_is_not_there_is_an_error(shell: Shell) -> None:
    wrong = shell.run("settings", "set", TIMEOUT, "soon")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert f"{TIMEOUT!r} takes a number of minutes" in wrong.stderr
    for verb in ("show", "delete"):
        gone = shell.run("settings", verb, "no.such")
        assert (gone.returncode, gone.stdout) == (1, "")
        assert "There is no setting 'no.such'." in gone.stderr
    assert shell.run("settings", "--json", "show", TIMEOUT).returncode == 2


def test_a_secret_is_no_argument_and_is_not_shown(shell: Shell, tmp_path: Path) -> None:
    visible = shell.run("settings", "set", "bank.password", "s3cret", "--secret")
    assert (visible.returncode, visible.stdout) == (2, "")
    (tmp_path / "password").write_text("0123: no\n")
    with (tmp_path / "password").open() as password:
        saved = shell.run("settings", "set", "bank.password", "--secret", stdin=password)
    assert saved.stdout == "bank.password is ••• now.\n", saved
    assert shell.json("settings", "show", "bank.password")["secret"] is True
    assert "0123" not in shell.run("settings").stdout + shell.run("settings", "history", "bank.password").stdout
    # A flow reads it as it was given.
    told = "this.set_output('length', len(system.setting('bank.password').get()))"
    write_flow(shell.workspace, "reading", told)
    assert shell.json("run", "reading")["output_value"] == {"length": 8}
    assert shell.run("settings", "set", "team.x").returncode == 2
