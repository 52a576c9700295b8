"""Reports the progress of one run to the store, a tenth of a second apart. Used on the thread of the run."""

from __future__ import annotations

import time
from contextlib import suppress

from cloudo_kernel.errors import CloudoError
from cloudo_kernel.models import Progress
from cloudo_kernel.store import Claim, Store
from cloudo_kernel.workspace.layout import executed_notebook

#: Minimum interval between writes, and from the claim to the first one: most runs end before that.
_INTERVAL_SECONDS = 0.1
_FIRST_SECONDS = 0.25


class RunProgress:
    """The progress of a run. The last report is written again with the outcome."""

    def __init__(self, store: Store, claim: Claim) -> None:
        self._store = store
        self._claim = claim
        self.last = Progress()
        #: Path of the executed notebook below the workspace; None until the runner, which writes it before it reports
        #: any progress, has reported some.
        self.notebook: str | None = None
        self._is_new = False
        self._due = time.monotonic() + _FIRST_SECONDS

    def note(self, progress: Progress) -> None:
        """Take a report, and write it unless the last write was too recent."""
        self.notebook = executed_notebook(self._claim.flow_name, self._claim.id)
        self.last, self._is_new = progress, True
        if time.monotonic() >= self._due:
            with suppress(CloudoError):  # retried when the runner is silent
                self.flush()

    def flush(self) -> None:
        """Write a report that came too soon after the last write."""
        if self._is_new:
            self._due = time.monotonic() + _INTERVAL_SECONDS
            self._store.reports.progress(self._claim.id, self._claim.attempt, self.last, notebook=self.notebook)
            self._is_new = False

    def reset(self) -> None:
        """Begin again, for new processes."""
        self.last, self._is_new = Progress(), False
