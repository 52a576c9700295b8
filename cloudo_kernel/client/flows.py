"""The verbs about flows, over HTTP."""

from __future__ import annotations

from cloudo_kernel.client.base import Base, given, in_path
from cloudo_kernel.models import Flow, Kernel, Page


class FlowVerbs(Base):
    """List, create, change and delete flows; list kernels."""

    def flows(self, *, q: str | None = None) -> tuple[Flow, ...]:
        """See `Api.flows`."""
        return self._whole(Page[Flow], "flow", q=q)

    def flow(self, name: str) -> Flow:
        """See `Api.flow`."""
        return self._get(Flow, f"flow/{in_path(name)}")

    def kernels(self) -> tuple[Kernel, ...]:
        """See `Api.kernels`."""
        return self._whole(Page[Kernel], "kernel")

    def create_flow(self, name: str, *, source: str | None = None, copy_of: str | None = None) -> Flow:
        """See `Api.create_flow`."""
        wanted = {"name": name, "source": source, "copy_of": copy_of}
        return self._record(Flow, self._send("POST", "flow", json=given(wanted)))

    def change_flow(self, name: str, *, source: str | None = None, new_name: str | None = None) -> Flow:
        """See `Api.change_flow`."""
        wanted = given({"source": source, "name": new_name})
        return self._record(Flow, self._send("PATCH", f"flow/{in_path(name)}", json=wanted))

    def delete_flow(self, name: str) -> None:
        """See `Api.delete_flow`."""
        self._send("DELETE", f"flow/{in_path(name)}")
