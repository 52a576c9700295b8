"""What is masked, and what is not."""

from __future__ import annotations

import html
import json
from typing import Any
from urllib.parse import quote_plus

import pytest

from cloudo_kernel.security.redaction import PROTECTED, Redaction, without_secrets

HARD = "p\"ä\\s\n<&>'s w%rd"


@pytest.mark.parametrize("secret", ["hunter2", HARD, "two words"])
def test_a_secret_is_masked_however_it_is_written(secret: str) -> None:
    redaction = Redaction()
    assert redaction.learn({"password": [secret]})
    assert not redaction.learn(secret)
    error = ValueError(secret)
    for written in (
        *(secret, repr(secret), ascii(secret), repr(error), repr([repr(error)])),
        *(json.dumps(secret), json.dumps(secret, ensure_ascii=False), json.dumps(json.dumps({"a": secret}))),
        *(html.escape(secret), quote_plus(secret)),
    ):
        masked = redaction.mask(f"before {written} after")
        assert PROTECTED in masked
        assert secret.strip() not in masked
        assert "hunter" not in masked
        assert "rd" not in masked.removeprefix("before ")
        assert masked.startswith("before ")
        assert masked.endswith(" after")


def test_what_is_coloured_in_its_middle_is_masked_too() -> None:
    redaction = Redaction(["hunter22"])
    assert redaction.mask("\x1b[31mhun\x1b[39mter22\x1b[0m!") == f"{PROTECTED}!"
    assert redaction.mask("\x1b[31mhunter22\x1b[0m") == f"\x1b[31m{PROTECTED}\x1b[0m"


def test_what_is_short_empty_or_no_text_hides_nothing_else() -> None:
    redaction = Redaction()
    assert not redaction.learn([None, True, "", "      ", "abc", 12, {}])
    assert redaction.mask("abc 12       True") == "abc 12       True"
    redaction.learn([271828, "one line\nanother line"])
    value = {"n": 271828, "m": 271829, "t": "another line", "b": True, "271828": None}
    assert redaction.mask_value(value) == {"n": PROTECTED, "m": 271829, "t": PROTECTED, "b": True, PROTECTED: None}


def test_protected_values_are_split_off_and_others_only_masked() -> None:
    redaction = Redaction(["hunter22"])
    shown, hidden = redaction.split({"pin": 1, "text": "is hunter22", "n": 3}, ["pin"])
    assert shown == {"pin": PROTECTED, "text": f"is {PROTECTED}", "n": 3}
    assert hidden == {"pin": 1, "text": "is hunter22"}


def test_a_notebook_stays_one_when_its_secret_is_a_common_word() -> None:
    notebook = {
        "metadata": {"kernelspec": {"name": "code"}, "papermill": {"parameters": {"a": "code"}}},
        "cells": [
            {
                "cell_type": "code",
                "source": "a = 'code'",
                "metadata": {},
                "outputs": [{"output_type": "stream", "name": "stdout", "text": "code\ntext"}],
            }
        ],
    }
    masked = without_secrets(notebook, Redaction(["code", "text", "stdout"]))
    assert masked["metadata"] == {"kernelspec": {"name": "code"}, "papermill": {"parameters": {"a": PROTECTED}}}
    [cell] = masked["cells"]
    assert (cell["cell_type"], cell["source"]) == ("code", f"a = '{PROTECTED}'")
    assert cell["outputs"] == [
        {"output_type": "stream", "name": "stdout", "text": f"{PROTECTED}\n{PROTECTED}"},
    ]


def test_what_was_printed_in_pieces_is_masked_as_one_text() -> None:
    def said(name: str, text: str) -> dict[str, str]:
        return {"output_type": "stream", "name": name, "text": text}

    plain = {"output_type": "display_data", "data": {"text/plain": "x"}, "metadata": {}}
    pieces = [said("stdout", "is hun"), said("stdout", "ter"), said("stdout", "22!"), said("stderr", "hun"), plain]
    outputs = [*pieces, said("stderr", "ter22")]
    cell: dict[str, Any] = {"cell_type": "code", "source": "1", "metadata": {}, "outputs": outputs}
    shown = without_secrets({"metadata": {}, "cells": [cell]}, Redaction(["hunter22"]))
    expected = [said("stdout", f"is {PROTECTED}!"), said("stderr", "hun"), plain, said("stderr", "ter22")]
    assert shown["cells"][0]["outputs"] == expected
    assert cell["outputs"][:5] == pieces


def test_each_of_many_secrets_is_masked() -> None:
    redaction = Redaction(f"secret-{number}-of-many" for number in range(500))
    text = "nothing is secret here, and nothing of many\n"
    assert redaction.mask(text) == text
    said = [f"{text}secret-{number}-of-many{text}" for number in (0, 77, 499)]
    assert redaction.mask("".join(said)) == f"{text}{PROTECTED}{text}" * 3
