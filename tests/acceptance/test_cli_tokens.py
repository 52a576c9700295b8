"""`cloudo token` as people use it; what tokens open is in `tests/extension/test_tokens.py`."""

from __future__ import annotations

import json
import re

import pytest

from tests.acceptance.shell import Shell


def test_a_token_is_made_listed_and_revoked(shell: Shell) -> None:
    create = ("token", "create", "ci", "--action", "execution:start", "--flow", "etl/*", "--expires", "30d")
    printed = shell.run(*create).stdout
    secret = printed.splitlines()[0]
    assert re.fullmatch(r"cloudo_[0-9a-f]{64}", secret)
    assert printed.count(secret) == 1
    short = re.search(r"cloudo token revoke (\w+)", printed)
    assert short
    [listed] = shell.json("tokens")
    assert listed == shell.json("token", "list")[0]
    assert (listed["name"], listed["actions"], listed["flows"]) == ("ci", ["execution:start"], ["etl/*"])
    assert secret.startswith(listed["prefix"])
    assert secret not in json.dumps(listed)
    line = rf"^{short[1]} +ci +{listed['prefix']}… +never +in \d+ days +etl/\* +execution:start$"
    assert re.search(line, shell.run("tokens").stdout, re.MULTILINE)
    assert shell.run("token", "revoke", short[1]).stdout == f"ci ({listed['prefix']}…) is revoked.\n"
    assert shell.run("tokens").stdout.startswith("No tokens yet.")
    gone = shell.run("token", "revoke", short[1])
    assert (gone.returncode, gone.stderr) == (1, f"Error: You have no token '{short[1]}'; it may have been revoked.\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--flow", "etl/*"), "Missing option '--action'"),
        (("--action", "write"), "Invalid value for --action: 'write': Input should be 'read', 'execution:start'"),
        (("--action", "read", "--flow", "etl/[a]"), "Invalid value for --flow: 'etl/[a]'"),
    ],
)
def test_a_wrong_command_line_says_what_fits(shell: Shell, words: tuple[str, ...], told: str) -> None:
    done = shell.run("token", "create", "ci", *words)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_duration_that_is_none_is_refused(shell: Shell) -> None:
    done = shell.run("token", "create", "ci", "--action", "read", "--expires", "soon")
    assert done.returncode == 1
    assert "'soon'" in done.stderr
