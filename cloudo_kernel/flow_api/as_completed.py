"""The source that completion reads for the module `flow_api`. It shows `Execution` as `This`.

Handlers annotate `this` as an `Execution`, but it is a `This`. No code imports this module: see `kernel.app`.
"""

from __future__ import annotations

from cloudo_kernel.flow_api import *  # noqa: F403 -- completion needs all names
from cloudo_kernel.flow_api.this import This as Execution  # type: ignore[assignment]  # noqa: F401 -- replaces `Execution`
