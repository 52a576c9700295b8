"""The built script and style of the widgets. They lie beside the extension, which serves the same build."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

_NOT_BUILT = "The front end is not built. Run `make frontend`."


def folder() -> Path:
    """Return the folder of the build. Raises `FileNotFoundError` if the extension is not installed."""
    found = importlib.util.find_spec("cloudo_extension")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("The package cloudo_extension, which holds the front end, is not installed.")
    return Path(found.submodule_search_locations[0]) / "static"


def name_of(entry: str) -> str:
    """Return the file of an entry of the manifest. Raises `FileNotFoundError` without a build."""
    try:
        names: dict[str, str] = json.loads((folder() / "manifest.json").read_bytes())
        return names[entry]
    except (OSError, ValueError, KeyError) as error:
        raise FileNotFoundError(_NOT_BUILT) from error


def text_of(entry: str) -> str:
    """Return the text of an entry of the manifest. Raises `FileNotFoundError` without a build."""
    try:
        return (folder() / name_of(entry)).read_text(encoding="utf-8")
    except OSError as error:
        raise FileNotFoundError(_NOT_BUILT) from error
