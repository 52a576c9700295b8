"""The catalog of flows: finding them, reading their inputs and their source.

Reads notebooks as JSON and parameters with `ast`, so that listing hundreds of flows takes milliseconds.
"""

from cloudo_kernel.workspace.catalog.catalog import Catalog, Source
from cloudo_kernel.workspace.catalog.inputs import validate
from cloudo_kernel.workspace.catalog.kernels import CLOUDO, kernel_fault, kernels, language_of
from cloudo_kernel.workspace.catalog.parameters import defaults, input_schema, required
from cloudo_kernel.workspace.catalog.places import check_name, contained, library_folders
from cloudo_kernel.workspace.catalog.script import as_notebook, is_handler, script_text
from cloudo_kernel.workspace.catalog.values import NotJson, json_value

__all__ = [
    "CLOUDO",
    "Catalog",
    "NotJson",
    "Source",
    "as_notebook",
    "check_name",
    "contained",
    "defaults",
    "input_schema",
    "is_handler",
    "json_value",
    "kernel_fault",
    "kernels",
    "language_of",
    "library_folders",
    "required",
    "script_text",
    "validate",
]
