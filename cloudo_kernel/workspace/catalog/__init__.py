"""The catalog of flows: finding them, reading their inputs and their source.

Reads notebooks as JSON and parameters with `ast`, so that listing hundreds of flows takes milliseconds.
"""

from cloudo_kernel.workspace.catalog.catalog import Catalog as Catalog
from cloudo_kernel.workspace.catalog.catalog import Source as Source
from cloudo_kernel.workspace.catalog.catalog import is_match as is_match
from cloudo_kernel.workspace.catalog.inputs import validate as validate
from cloudo_kernel.workspace.catalog.kernels import CLOUDO as CLOUDO
from cloudo_kernel.workspace.catalog.kernels import kernel_fault as kernel_fault
from cloudo_kernel.workspace.catalog.kernels import kernels as kernels
from cloudo_kernel.workspace.catalog.kernels import language_of as language_of
from cloudo_kernel.workspace.catalog.parameters import defaults as defaults
from cloudo_kernel.workspace.catalog.parameters import input_schema as input_schema
from cloudo_kernel.workspace.catalog.parameters import required as required
from cloudo_kernel.workspace.catalog.parameters import write_only as write_only
from cloudo_kernel.workspace.catalog.places import check_name as check_name
from cloudo_kernel.workspace.catalog.places import contained as contained
from cloudo_kernel.workspace.catalog.places import library_folders as library_folders
from cloudo_kernel.workspace.catalog.places import sort_key as sort_key
from cloudo_kernel.workspace.catalog.script import as_notebook as as_notebook
from cloudo_kernel.workspace.catalog.script import is_handler as is_handler
from cloudo_kernel.workspace.catalog.script import script_text as script_text
from cloudo_kernel.workspace.catalog.values import NotJson as NotJson
from cloudo_kernel.workspace.catalog.values import json_value as json_value
