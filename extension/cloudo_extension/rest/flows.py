"""REST for flows."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from cloudo_extension.http.handler import Handler
from cloudo_extension.http.operation import PageQuery, Query, operation, routes_of
from cloudo_kernel.api import PAGE_LIMIT
from cloudo_kernel.models import Flow, FlowActivity, Kernel, Page, ReadInputs, Request
from cloudo_kernel.workspace.catalog import sort_key


class FlowQuery(Query):
    """Filters of the list of flows."""

    q: str | None = Field(default=None, description="Search in name, title and tags.")
    brief: bool = Field(default=False, description="Leave `input_schema` and `metadata` empty.")
    runs: bool = Field(
        default=True,
        description="`false` leaves `last_executions` and `next_run` empty. The reply then has an ETag that stays the "
        "same until a flow is added, changed or removed.",
    )


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


class YamlText(Request):
    """The body of `POST /inputs/yaml`."""

    yaml: str


class Flows(Handler):
    """`/flow`."""

    takes_documents: ClassVar[bool] = True

    @operation("flows", reply=Page[Flow], query=(FlowQuery, PageQuery))
    async def get(self) -> None:
        """List flows by name."""
        wanted, page = self.asked(FlowQuery), self.asked(PageQuery)
        if not wanted.runs:
            # Read before the list: a change in between then makes the next request read it again.
            self.set_header("ETag", f'W/"{await self.backend.call(self.api.version_of_flows)}"')
            if await self.is_unchanged():
                return
        await self.answer(self.api.page_of_flows, after=page.cursor, limit=page.limit, **wanted.model_dump())

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
        names = self.asked_texts("names")
        await self.answer_page(lambda: self.api.flow_activity(recent=recent, names=names), "flow_name", order=sort_key)


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


class InputsFromYaml(Handler):
    """`/inputs/yaml`."""

    @operation("read_inputs", reply=ReadInputs, body=YamlText, example={"yaml": "region: north\ntop: 3"})
    async def post(self) -> None:
        """Read inputs from YAML."""
        await self.answer(self.api.read_inputs, (await self.sent(YamlText)).yaml)


routes = routes_of(InputsFromYaml, Kernels, Flows, Activity, OneFlow)
