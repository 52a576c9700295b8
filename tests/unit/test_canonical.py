"""The canonical form of a value: one for each value, whatever it was written like."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from time import strptime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudo_kernel.models.canonical import FITS, canonical, from_text

ZONES = st.none() | st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
#: What is written of each kind, in all the ways that Python reads.
WRITTEN: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "integer": st.integers() | st.integers(-(2**53), 2**53).map(float),
    "number": st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    "date": st.dates().flatmap(
        lambda day: st.sampled_from([day.isoformat(), f"{day:%Y%m%d}".zfill(8), day.strftime("%G-W%V-%u").zfill(10)])
    ),
    "time": st.times(timezones=ZONES).flatmap(
        lambda at: st.sampled_from([at.isoformat(), at.isoformat().replace(":", "")])
    ),
    "date-time": st.datetimes(timezones=ZONES).flatmap(
        lambda at: st.sampled_from([at.isoformat(), at.isoformat(" "), at.isoformat("x")])
    ),
}
FORM = {
    "date": r"\d{4}-\d\d-\d\d",
    "time": r"\d\d:\d\d:\d\d(\.\d{6})?(Z|[+-]\d\d:\d\d)?",
    "date-time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?(Z|[+-]\d\d:\d\d)?",
}
READ = {"date": date.fromisoformat, "time": time.fromisoformat, "date-time": datetime.fromisoformat}


@pytest.mark.parametrize("kind", sorted(FITS))
@given(drawn=st.data())
def test_each_value_has_one_form_which_is_its_own(kind: str, drawn: st.DataObject) -> None:
    value = drawn.draw(WRITTEN[kind])
    found = canonical(kind, value)
    again = canonical(kind, found)
    assert (found, type(found)) == (again, type(again))
    assert json.loads(json.dumps(found)) == found
    if kind in FORM:
        assert re.fullmatch(FORM[kind], found)
        assert READ[kind](found) == READ[kind](value)
        assert from_text(kind, f" {value} ") == found
    else:
        assert found == value
        assert from_text(kind, json.dumps(value)) == value


@given(at=st.times(timezones=st.none() | st.just(UTC)).map(lambda at: at.replace(microsecond=0)))
def test_what_the_original_scripts_parse_is_what_they_get(at: time) -> None:
    said = canonical("time", f"{at:%H:%M}" + ("" if at.tzinfo is None else "+00:00"))
    assert strptime(said, "%H:%M:%S" + ("" if at.tzinfo is None else "%z")).tm_min == at.minute


@pytest.mark.parametrize("kind", sorted(FITS))
@given(
    value=st.none() | st.text() | st.lists(st.integers()) | st.floats() | st.integers() | st.booleans() | st.binary()
)
def test_whatever_comes_has_a_form_or_is_refused_in_words(kind: str, value: Any) -> None:
    for read in (canonical, from_text) if isinstance(value, str) else (canonical,):
        try:
            found = read(kind, value)
        except ValueError as error:
            found = error
        assert str(found) == FITS[kind] if isinstance(found, ValueError) else canonical(kind, found) == found


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *[("number", wrong) for wrong in (True, "5", None, math.nan, math.inf, [1])],
        *[("integer", wrong) for wrong in (False, "5", 1.5, -math.inf, 1e309)],
        *[("boolean", wrong) for wrong in (0, 1, "true", None)],
        *[("time", wrong) for wrong in ("8:30", "24:01", "", 830, "08:30:00+25:00", "08:30+01:00:30")],
        *[("date", wrong) for wrong in ("31.12.2026", "2026-02-30", 20261231)],
        *[("date-time", wrong) for wrong in ("yesterday", 0, "1764576000", True)],
    ],
)
def test_a_value_of_another_kind_is_refused(kind: str, value: object) -> None:
    with pytest.raises(ValueError, match=re.escape(FITS[kind])):
        canonical(kind, value)


def test_an_offset_that_rfc_3339_cannot_write_is_replaced_by_utc() -> None:
    assert canonical("date-time", "2026-03-31T08:30:00+01:00:30") == "2026-03-31T07:29:30Z"


@pytest.mark.parametrize("text", ["NaN", "inf", "1_000", "0x10", "1e400", "9" * 5000, "one", "", "١"])
def test_text_that_only_python_takes_for_a_number_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="a number"):
        from_text("number", text)
