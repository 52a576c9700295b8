"""The built script and style of the widgets: the files of the page, which lie beside the extension that serves them.

A widget has no server to import files from, so that its script holds all of them (see `app/files.ts` of the front end).
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_NOT_BUILT = "The front end is not built. Run `make frontend`."


def folder() -> Path:
    """Return the folder of the build. Raises `FileNotFoundError` if the extension is not installed."""
    found = importlib.util.find_spec("cloudo_extension")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("The package cloudo_extension, which holds the front end, is not installed.")
    return Path(found.submodule_search_locations[0]) / "static"


@dataclass(frozen=True)
class Bundle:
    """What a widget takes from a build."""

    script: str
    style: str
    #: Name of the script that holds the browser's one event stream.
    events: str


def read() -> Bundle:
    """Return the current build. Raises `FileNotFoundError` without one."""
    try:
        manifest = (folder() / "manifest.json").read_bytes()
        return _read(folder(), manifest)
    except (OSError, ValueError, KeyError) as error:
        raise FileNotFoundError(_NOT_BUILT) from error


@lru_cache(maxsize=1)
def _read(built: Path, manifest: bytes) -> Bundle:
    names = json.loads(manifest)
    texts = {name: (built / name).read_text(encoding="utf-8") for name in (*names["widget"], names["files.js"])}
    loader = texts.pop(names["files.js"])
    script = f"const ENTRY={json.dumps(names['widget'][0])},FILES={json.dumps(texts, ensure_ascii=False)};\n{loader}"
    return Bundle(script, (built / names["style.css"]).read_text(encoding="utf-8"), names["events.js"])
