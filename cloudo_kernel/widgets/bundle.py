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


def text_of(entry: str) -> str:
    """Return a file of the build by its name in the manifest. Raises `FileNotFoundError` without a build."""
    place = folder()
    try:
        names: dict[str, str] = json.loads((place / "manifest.json").read_bytes())
        return (place / names[entry]).read_text(encoding="utf-8")
    except (OSError, ValueError, KeyError) as error:
        raise FileNotFoundError(_NOT_BUILT) from error
