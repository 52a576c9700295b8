"""Searches of executions find exactly what the plain definition says, whatever the index knows by then."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudo_kernel.models import ExecutionFilter, Status
from cloudo_kernel.store import NewExecution, Outcome, Store
from cloudo_kernel.store.executions import lists, text_index
from cloudo_kernel.store.executions.text_index import TextIndex

Add = Callable[..., str]

#: Letters of all kinds that LIKE, FTS5 or Python could take for another: large and small, signs of patterns, marks of
#: the index, ends of texts, more than two bytes.
_LETTERS = "aAbBéÉİıſKß%_/\"'*()-^ \x00\x02\x03\ufffd\ufffe日本語🎉"
_WORDS = ("report", "Report", "loaded", "50%", "a_b", "ñandú", "日本", "x", "")
#: What tokens may be limited to.
_FLOWS = (None, None, ("etl/*",), ("none", "r*", "*o"), ("nothing",))
#: What `q` means: part of a text; letters of ASCII count the same large or small.
_PLAIN = """
SELECT id FROM executions WHERE ({conditions}) AND (
  name LIKE :q ESCAPE '/' OR flow_name LIKE :q ESCAPE '/' OR message LIKE :q ESCAPE '/' OR id LIKE :q ESCAPE '/'
) ORDER BY id DESC
"""


@pytest.fixture
def indexed(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return the store with an index from its first execution on, that is made and asked in small steps."""
    monkeypatch.setattr(text_index, "_AT_ONCE", 9)
    monkeypatch.setattr(lists, "_FIRST_STEP", 1)
    monkeypatch.setattr(lists, "_MAX_STEP", 5)
    store.texts = TextIndex(store._database, least=0)
    store.executions._texts = store.texts
    return store


class Story:
    """Random executions, and what becomes of them."""

    def __init__(self, store: Store, add: Add, seed: int) -> None:
        self.store = store
        self.random = random.Random(seed)
        self._add = add
        self.ids: list[str] = []

    def text(self) -> str:
        length = self.random.choice((0, 1, 2, 3, 5, 30))
        letters = "".join(self.random.choice(_LETTERS) for _ in range(length))
        return " ".join((*self.random.choices(_WORDS, k=self.random.randrange(2)), letters))

    def go_on(self) -> None:
        step = self.random.choice((self.add, self.add, self.run, self.run, self.rename, self.delete, self.update))
        step()

    def add(self) -> None:
        flow_name = self.random.choice((None, "etl/one", "etl/Two", self.text()))
        more = {"name": self.text(), "flow_name": flow_name, "user_name": self.random.choice(("ada", "grace"))}
        more["message"] = self.random.choice((None, self.text()))
        self.ids.append(self._add(schedule_id=self.random.choice((None, "s")), **more))

    def run(self) -> None:
        for claim in self.store.queue.claim("w", free=1):
            runs, attempt = self.store.reports, claim.attempt
            runs.begin(claim.id, attempt)
            runs.save(claim.id, attempt, {"message": self.text(), "name": self.text()})
            if self.random.random() < 0.5:
                status = self.random.choice((Status.ENDED_SUCCESS, Status.ENDED_ERROR))
                runs.finish(claim.id, attempt, Outcome(status=status, message=self.text()))
            else:
                runs.wait(claim.id, attempt, message=self.text())

    def rename(self) -> None:
        if self.ids:
            self.store.control.save(self.random.choice(self.ids), {"name": self.text()}, user_name="ada")

    def delete(self) -> None:
        ended = [one for one in self.ids if self.store.executions.status(one).is_ended]
        if ended:
            gone = self.random.choice(ended)
            self.store.executions.delete(gone, user_name="ada")
            self.ids.remove(gone)

    def update(self) -> None:
        for _ in range(self.random.randrange(4)):
            self.store.texts.update()

    def question(self) -> ExecutionFilter:
        texts = [self.text(), *([self.random.choice(self.ids)] if self.ids else [])]
        with sqlite3.connect(self.store._database._url.database or "") as connection:
            texts += [
                text for (text,) in connection.execute("SELECT message FROM executions WHERE message IS NOT NULL")
            ]
        connection.close()
        text = self.random.choice(texts)
        begin = self.random.randrange(len(text) + 1)
        part = text[begin : begin + self.random.choice((1, 2, 3, 4, 8, 40))] or "report"
        fields = {
            "flow_name": self.random.choice((None, None, "etl/one")),
            "user_name": self.random.choice((None, None, "ada")),
            "status": self.random.choice((None, None, (Status.ENDED_ERROR, Status.WAITING), (Status.ENDED_SUCCESS,))),
            "schedule_id": self.random.choice((None, None, "s")),
        }
        return ExecutionFilter(q=self.random.choice((part, part.swapcase(), None)), **fields)


def plainly(store: Store, where: ExecutionFilter, flows: tuple[str, ...] | None) -> list[str]:
    """Return what the filter means, to somebody who may see these flows."""
    conditions = [
        f"{name} = '{value}'"
        for name in ("flow_name", "user_name", "schedule_id")
        if (value := getattr(where, name)) is not None
    ]
    if where.status:
        conditions.append("status IN ({})".format(", ".join(f"'{status}'" for status in where.status)))
    if flows is not None:
        conditions.append("({})".format(" OR ".join(f"flow_name GLOB '{pattern}'" for pattern in flows)))
    q = "".join(f"/{letter}" if letter in "/%_" else letter for letter in where.q or "")
    with store._database.read() as connection:
        # As SQLite sees them, both end at a NUL, which a pattern then does not: its last sign is lost, too.
        query = _PLAIN.format(conditions=" AND ".join(conditions) or "TRUE")
        return list(connection.exec_driver_sql(query, {"q": f"%{q}%"}).scalars())


def paged(store: Store, where: ExecutionFilter, limit: int, flows: tuple[str, ...] | None = None) -> list[str]:
    """Return what the pages of a list hold."""
    found: list[str] = []
    before: str | None = None
    while True:
        page = store.executions.page(where, limit=limit, before=before, flows=flows)
        found += [execution.id for execution in page.items]
        before = page.next
        if before is None:
            return found


@pytest.mark.parametrize("seed", range(2))
def test_a_search_finds_what_the_plain_definition_says(
    indexed: Store, add: Add, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "_MAX_NAMES", 3 * seed)
    story, hits = Story(indexed, add, seed), 0
    for step in range(150):
        story.go_on()
        if step % 3 == 0:
            where, flows = story.question(), story.random.choice(_FLOWS)
            expected = plainly(indexed, where, flows)
            assert paged(indexed, where, story.random.choice((1, 3, 100)), flows) == expected, (where, flows)
            hits += bool(expected)
    assert hits > 10
    while indexed.texts.update():
        pass
    for _ in range(30):
        where, flows = story.question(), story.random.choice(_FLOWS)
        assert paged(indexed, where, 5, flows) == plainly(indexed, where, flows), (where, flows)


def use_index_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a search that has to read one execution after the other find nothing."""
    monkeypatch.setattr(lists._Scan, "go", lambda _self, _number: False)


@pytest.mark.parametrize("q", ["nEEdle", "dle", "é", "日", "本語", "4%", "NOWHERE"])
def test_what_few_have_is_found_without_reading_the_others(
    indexed: Store, add: Add, monkeypatch: pytest.MonkeyPatch, q: str
) -> None:
    for number in range(30):
        add(message=f"hay {number}")
    few = add(message="a needle é 日本語 4%")
    while indexed.texts.update():
        pass
    later = add(message="another Needle, é 日本語 4%")
    use_index_alone(monkeypatch)
    expected = [] if q == "NOWHERE" else [later, few]
    assert paged(indexed, ExecutionFilter(q=q), 10) == expected
    assert paged(indexed, ExecutionFilter(q=few[3:20]), 1) == [few]


def test_what_was_deleted_leaves_the_index(indexed: Store, add: Add, tmp_path: Path) -> None:
    execution_id = add(message="a needle")
    [claim] = indexed.queue.claim("w", free=1)
    indexed.reports.finish(claim.id, claim.attempt, Outcome(status=Status.ENDED_SUCCESS))
    while indexed.texts.update():
        pass
    assert rows(tmp_path) == 1
    indexed.executions.delete(execution_id, user_name="ada")
    while indexed.texts.update():
        pass
    assert rows(tmp_path) == 0


def test_the_index_of_a_later_store_is_not_asked_and_made_anew(
    indexed: Store, add: Add, new: Callable[..., NewExecution], tmp_path: Path
) -> None:
    add(message="first")
    source = sqlite3.connect(tmp_path / "store.sqlite")
    copy = sqlite3.connect(tmp_path / "copy.sqlite")
    source.backup(copy)
    source.close()
    copy.close()
    add(message="second")
    while indexed.texts.update():
        pass
    folder = tmp_path / "restored"
    folder.mkdir()
    shutil.copy(tmp_path / "copy.sqlite", folder / "store.sqlite")
    shutil.copy(tmp_path / "search.sqlite", folder / "search.sqlite")
    restored = Store.open(f"sqlite:///{folder / 'store.sqlite'}")
    restored.texts = restored.executions._texts = TextIndex(restored._database, least=0)
    third = restored.executions.insert(new(message="third")).id
    where = ExecutionFilter(q="third")
    assert paged(restored, where, 5) == [third]
    while restored.texts.update():
        pass
    assert paged(restored, where, 5) == [third]
    assert rows(folder) == 2
    restored.close()


def test_a_damaged_index_is_made_anew(indexed: Store, add: Add, tmp_path: Path) -> None:
    execution_id = add(message="a needle")
    (tmp_path / "search.sqlite").write_text("this is no database " * 1000)
    assert paged(indexed, ExecutionFilter(q="needle"), 5) == [execution_id]
    while indexed.texts.update():
        pass
    assert rows(tmp_path) == 1
    assert paged(indexed, ExecutionFilter(q="needle"), 5) == [execution_id]


def test_few_executions_have_no_index(store: Store, add: Add, tmp_path: Path) -> None:
    add(message="a needle")
    assert not store.texts.update()
    assert not (tmp_path / "search.sqlite").exists()


def rows(folder: Path) -> int:
    """Return how many entries the index has."""
    connection = sqlite3.connect(folder / "search.sqlite")
    [(number,)] = connection.execute("SELECT count(*) FROM texts")
    connection.close()
    return int(number)
