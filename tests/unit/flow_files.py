"""Writes the files of flows for tests of the catalog, and says what it found."""

import json
from pathlib import Path
from typing import Any

from cloudo_kernel.workspace.catalog import Catalog


def code(source: str, *tags: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "source": source,
        "metadata": {"tags": list(tags)},
        "outputs": [],
        "execution_count": None,
    }


def markdown(source: str | list[str]) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def notebook(*cells: dict[str, Any], **metadata: Any) -> str:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells})


def write(path: Path, text: str = notebook()) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def names(catalog: Catalog, q: str | None = None) -> list[str]:
    return [flow.name for flow in catalog.flows(q)]


def broken(catalog: Catalog, name: str) -> str:
    reason = {flow.name: flow.broken for flow in catalog.flows()}[name]
    assert reason is not None
    assert not reason.endswith(".")
    return reason
