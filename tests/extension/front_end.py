"""A build of the front end that is small enough for tests of the server."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

SCRIPT = "page-0A1b2C3d.js"
EVENTS = "events-2A2b3C4d.js"
CHUNK = "chunk-4E5f6G7h.js"
STYLE = ".cloudo-table{width:100%}"
_FILES = {
    "page.js": (SCRIPT, f'import "./{CHUNK}";\n'),
    "lab.js": ("lab-4A2b3C4d.js", "export const answer = 42;\n"),
    "files.js": ("files-1A2b3C4d.js", "export default { render() {} };\n"),
    "events.js": (EVENTS, "self.onconnect = () => {};\n"),
    "style.css": ("style-3A2b3C4d.css", STYLE),
}


def write_build(folder: Path) -> Path:
    """Write a build into `folder`, as the bundler does, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (*_FILES.values(), (CHUNK, "export const answer = 42;\n" + "// A long comment.\n" * 50)):
        (folder / name).write_text(text)
        (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    names: dict[str, object] = {entry: name for entry, (name, _) in _FILES.items()}
    (folder / "manifest.json").write_text(json.dumps(names | {"views": {"flows": [SCRIPT, CHUNK]}, "widget": [CHUNK]}))
    return folder
