"""What completion takes for the module `flow_api`: there `this` of a handler is annotated as an `Execution`.

It is more than that. Nobody imports this module: it is read where an author types, see `kernel.bind`.
"""

from __future__ import annotations

from cloudo_kernel.flow_api import *  # noqa: F403 -- all of it
from cloudo_kernel.flow_api.this import This as Execution  # type: ignore[assignment]  # noqa: F401 -- in its place
