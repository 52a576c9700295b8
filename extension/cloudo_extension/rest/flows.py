"""REST for flows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from cloudo_extension.http.handler import Handler
from cloudo_extension.http.operation import PageQuery, Query, operation, routes_of
from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.models import Flow, FlowActivity, Kernel, Page, Request


def _by_name(name: str) -> tuple[str, str]:
    """Return the key that sorts flows by name."""
    return name.casefold(), name


class FlowQuery(Query):
    """Filters of the list of flows."""

    q: str | None = Field(default=None, description="Search in name, title and tags.")
    brief: bool = Field(default=False, description="Leave `input_schema` and `metadata` empty.")


class ActivityQuery(Query):
    """How much is wanted."""

    recent: int = Field(default=12, ge=1, le=50, description="Maximum number of executions of each flow.")
    names: tuple[str, ...] = Field(default=(), max_length=PAGE_LIMIT, description="Only these flows; repeatable.")


class CreateFlow(Request):
    """The body of `POST /flow`: a name, and either notebook JSON or the name of a flow to copy."""

    name: str
    source: str | None = None
    copy_of: str | None = None


class ChangeFlow(Request):
    """The body of `PATCH /flow/<name>`: another source, another name, or both."""

    source: str | None = None
    name: str | None = None


class Flows(Handler):
    """`/flow`."""

    takes_documents: ClassVar[bool] = True

    @operation("flows", reply=Page[Flow], query=(FlowQuery, PageQuery))
    async def get(self) -> None:
        """List flows by name."""
        wanted = self.asked(FlowQuery)

        def finished(page: Sequence[Flow]) -> tuple[Flow, ...]:
            found = self.api.with_runs(page)
            return tuple(one.brief for one in found) if wanted.brief else found

        await self.answer_page(lambda: self.api.listed_flows(wanted.q), "name", order=_by_name, finish=finished)

    @operation(
        "create_flow",
        reply=Flow,
        status=201,
        body=CreateFlow,
        example={"name": "hello", "copy_of": "examples/greeting"},
    )
    async def post(self) -> None:
        """Create a flow in the workspace."""
        wanted = await self.sent(CreateFlow)
        await self.answer_created(
            "flow", self.api.create_flow, wanted.name, source=wanted.source, copy_of=wanted.copy_of, key="name"
        )


class Activity(Handler):
    """`/flow/activity`."""

    @operation("flow_activity", reply=Page[FlowActivity], query=(ActivityQuery, PageQuery))
    async def get(self) -> None:
        """List the recent executions of each flow."""
        recent = self.asked(ActivityQuery).recent
        # A name may have a comma, so it separates none.
        names = [name for name in self.get_query_arguments("names", strip=False) if name]
        await self.answer_page(lambda: self.api.flow_activity(recent=recent, names=names), "flow_name", order=_by_name)


class OneFlow(Handler):
    """`/flow/<name>`; the name's `/` may be raw or `%2F`."""

    takes_documents: ClassVar[bool] = True

    @operation("flow", reply=Flow)
    async def get(self, name: str) -> None:
        """Return one flow."""
        await self.answer(self.api.flow, name)

    @operation("change_flow", reply=Flow, is_conditional=True, body=ChangeFlow, example={"name": "people/hello"})
    async def patch(self, name: str) -> None:
        """Replace the flow's source, or move it."""
        wanted = await self.sent(ChangeFlow)
        await self.answer(
            self.unless_changed(self.api.flow, self.api.change_flow), name, source=wanted.source, new_name=wanted.name
        )

    @operation("delete_flow", status=204, is_conditional=True)
    async def delete(self, name: str) -> None:
        """Delete a flow from the workspace."""
        await self.backend.call(self.unless_changed(self.api.flow, self.api.delete_flow), name)
        await self.finish_empty()


class Kernels(Handler):
    """`/kernel`."""

    @operation("kernels", reply=Page[Kernel], query=(PageQuery,))
    async def get(self) -> None:
        """List the available kernels by name."""
        await self.answer_page(self.api.kernels, "name")


routes = routes_of(Kernels, Flows, Activity, OneFlow)
