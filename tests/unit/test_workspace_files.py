"""Files of a workspace: what is reached, and what is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloudo_kernel.errors import CloudoError, MalformedRequest, NoSuchFile, PathInvalid, TooLarge
from cloudo_kernel.workspace import files as workspace_files
from cloudo_kernel.workspace.files import WorkspaceFiles, decoded, encoded


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside.txt").write_text("secret")
    root = tmp_path / "workspace"
    (root / ".cloudo").mkdir(parents=True)
    (root / ".cloudo" / "key").write_text("secret")
    (tmp_path / "workspace-old").mkdir()
    (tmp_path / "workspace-old" / "a").write_text("secret")
    return root


@pytest.fixture
def files(root: Path) -> WorkspaceFiles:
    return WorkspaceFiles(root)


def test_what_is_written_is_read_replaced_and_deleted(files: WorkspaceFiles, root: Path) -> None:
    made = files.write("a/täglich b.txt", b"one\r\n")
    assert (made.path, made.size, made.content) == ("a/täglich b.txt", 5, None)
    assert (root / "a" / "täglich b.txt").read_bytes() == b"one\r\n"
    (root / "a" / "täglich b.txt").chmod(0o640)
    files.write("a/täglich b.txt", b"\xff\x00")
    read = files.read("./a//täglich b.txt")
    assert (read.path, read.encoding) == ("a/täglich b.txt", "base64")
    assert decoded(read.content or "", read.encoding) == b"\xff\x00"
    assert (root / "a" / "täglich b.txt").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in (root / "a").iterdir()] == ["täglich b.txt"]
    files.delete("a/täglich b.txt")
    with pytest.raises(NoSuchFile):
        files.read("a/täglich b.txt")
    with pytest.raises(NoSuchFile):
        files.delete("a/täglich b.txt")


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "/", "/etc/passwd", "../outside.txt", "a/../../outside.txt", "..", "a/..", "../workspace-old/a"),
        *(
            "a\0b",
            "a\nb",
            "a\\b",
            "..\\outside.txt",
            "\udcff",
            ".cloudo/key",
            ".CLOUDO/key",
            "./.cloudo/key",
            ".cloudo",
        ),
        *("out/outside.txt", "out.txt", "own/key", "own-key", "old/a", "x" * 300, "x/" * 3000, "folder", "pipe"),
    ],
)
@pytest.mark.parametrize("verb", ["read", "write", "delete"])
@pytest.mark.timeout(5)
def test_nothing_else_is_reached(files: WorkspaceFiles, root: Path, path: str, verb: str) -> None:
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe")
    (root / "out").symlink_to(root.parent)
    (root / "out.txt").symlink_to(root.parent / "outside.txt")
    (root / "old").symlink_to(root.parent / "workspace-old")
    (root / "own").symlink_to(root / ".cloudo")
    (root / "own-key").symlink_to(".cloudo/key")
    with pytest.raises(PathInvalid) as caught:
        files.write(path, b"changed") if verb == "write" else getattr(files, verb)(path)
    assert caught.value.field == "path"
    assert (root.parent / "outside.txt").read_text() == "secret"
    assert (root / ".cloudo" / "key").read_text() == "secret"


def test_a_link_that_stays_inside_is_followed_and_deleted_as_such(files: WorkspaceFiles, root: Path) -> None:
    files.write("real.txt", b"1")
    (root / "link.txt").symlink_to("real.txt")
    files.write("link.txt", b"2")
    assert (root / "link.txt").is_symlink()
    assert files.read("real.txt").content == "2"
    files.delete("link.txt")
    assert files.read("real.txt").content == "2"


def test_files_are_listed_by_pattern(files: WorkspaceFiles, root: Path) -> None:
    for path in ("b.csv", "a.csv", "deep/er/c.csv", "deep/d.txt"):
        files.write(path, b"x")
    (root / "out").symlink_to(root.parent)
    (root / "out.csv").symlink_to(root.parent / "outside.txt")
    (root / "own.csv").symlink_to(".cloudo/key")
    assert [file.path for file in files.list()] == ["a.csv", "b.csv"]
    assert [file.path for file in files.list(glob="**/*.csv")] == ["a.csv", "b.csv", "deep/er/c.csv"]
    assert [file.path for file in files.list("deep", "**/*")] == ["deep/d.txt", "deep/er/c.csv"]
    assert [file.path for file in files.list(glob="**/key*")] == []
    assert files.list("deep", "*.txt")[0].content is None
    for folder, glob in (("..", "*"), (".", "../*"), (".cloudo", "*"), (".", "/etc/*"), ("out", "*"), (".", "a\0")):
        with pytest.raises(PathInvalid):
            files.list(folder, glob)
    with pytest.raises(NoSuchFile):
        files.list("no such")
    with pytest.raises(CloudoError):
        files.list(glob="**b")


@pytest.mark.parametrize(
    "glob",
    ["*", "**", "**/*", "*/*", "b*/**/c", "**/b/**/*", "**/**/c", "b/c", "b/*/d", "./b/c", "link/*", "?", "[ab]/c"],
)
def test_patterns_mean_what_they_do_to_python(files: WorkspaceFiles, root: Path, glob: str) -> None:
    for path in ("a", "b/a", "b/c", "b/b/c", "b/b/d", "bb/x/y/c", "bb/.hidden/c"):
        files.write(path, b"x")
    (root / "link").symlink_to(root / "b")
    found = {path.relative_to(root).as_posix() for path in root.glob(glob) if path.is_file()}
    assert {file.path for file in files.list(glob=glob)} == {path for path in found if not path.startswith(".cloudo/")}


def test_a_pattern_looks_at_a_limited_number_of_files(
    files: WorkspaceFiles, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_files, "VISIT_LIMIT", 20)
    for number in range(30):
        files.write(f"many/{number}", b"")
    with pytest.raises(TooLarge, match="more than 20 files"):
        files.list(glob="**/x")
    assert files.list("many", "7")[0].path == "many/7"


def test_too_much_at_once_is_refused(files: WorkspaceFiles, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_files, "LIMIT_BYTES", 10)
    monkeypatch.setattr(workspace_files, "LIST_LIMIT", 2)
    files.write("a", b"x" * 10)
    assert files.read("a").size == 10
    (root / "b").write_text("x" * 11)
    for call in (lambda: files.write("c", b"x" * 11), lambda: files.read("b")):
        with pytest.raises(TooLarge):
            call()
    assert files.read("b", with_content=False).size == 11
    (root / "c").touch()
    with pytest.raises(TooLarge):
        files.list()


@pytest.mark.parametrize("content", [b"", b"text\n", "ä€".encode(), b"\xff", b"\0\xfe"])
def test_content_survives_its_journey(content: bytes) -> None:
    assert decoded(*encoded(content)) == content


@pytest.mark.parametrize(("content", "encoding"), [("%%", "base64"), ("a", "rot13"), ("\udcff", "text")])
def test_content_that_is_none_is_malformed(content: str, encoding: str) -> None:
    with pytest.raises(MalformedRequest):
        decoded(content, encoding)
