"""Forms of flows that are scripts; store, worker and kernels are real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cloudo_kernel.flow_api import System
from cloudo_kernel.models import Status
from tests.server import until


def test_a_form_with_text_for_numbers_is_answered_with_its_defaults(
    script: Callable[[str, str], Path], system: System
) -> None:
    """As the original's flows for schedules do: each parses what it gets."""
    script(
        "later",
        """
        import datetime

        import flow_api

        def handler(system: flow_api.System, this: flow_api.Execution):
            name = this.get("input_value").get("flow_name")
            message = system.message(
                subject="Later",
                body={
                    "type": "object",
                    "properties": {
                        "flow_name": {"element": "string", "type": "string", "example": name, "default": name},
                        "time": {"element": "time", "type": "string", "format": "time", "default": "08:30"},
                        "delay": {"element": "number", "type": "number", "example": "0.01", "default": "0.01"},
                        "start": {"element": "submit", "type": "boolean"},
                    },
                    "required": ["time"],
                },
            )
            response = message.wait().get("response")
            at = datetime.datetime.strptime(response["time"], "%H:%M:%S").time()
            this.sleep(response["delay"])
            return this.success(f"{response.get('flow_name')} {at.hour}:{at.minute} {response['delay'] * 2}")
        """,
    )
    later = system.flow("later").start()
    until(lambda: system.api.messages(unanswered=True).items)
    [message] = system.api.messages(unanswered=True).items
    assert "example" not in (message.body or {})["properties"]["flow_name"]
    system.api.answer_message(message.id, {"start": True})
    assert later.wait(60).get("message") == "None 8:30 0.02"


TWO_PHASES = '''
    # cloudo:
    #   durable: {durable}
    """Asks in one execution, and does in a second one what was asked for."""
    import time

    import flow_api


    def handler(system: flow_api.System, this: flow_api.Execution):
        inputs = this.get('input_value')
        message_id = inputs.get('message_id')
        if message_id is None:
            message = system.message(
                subject='Recurring execution',
                message_type='POPUP',
                body={{
                    'type': 'object',
                    'properties': {{
                        'flow_name': {{'label': 'Flow', 'element': 'string', 'type': 'string', 'order': 1}},
                        'interval': {{'label': 'Seconds', 'element': 'number', 'type': 'number', 'default': 60}},
                        'max_iterations': {{'element': 'number', 'type': 'number'}},
                        'start': {{'label': 'OK', 'element': 'submit', 'type': 'boolean', 'order': 9}},
                    }},
                    'required': ['flow_name'],
                }},
            )
            message_id = message.get('id')
            this.save(output_value={{'message_id': message_id}})
            this.flow(this.get('flow_name'), name='Recurring execution', message_id=message_id, wait=False)
            return this.success('requested details')
        message = system.message(message_id)
        response = message.wait().get('response')
        flow_name = response['flow_name']
        this.save(name=f'Recurring {{flow_name}}')
        start = this.step(time.time)
        for iteration in range(1, int(response['max_iterations']) + 1):
            child = this.flow(
                flow_name,
                inputs={{'start': start, 'iterations': iteration}},
                name=f'{{flow_name}} iteration #{{iteration}}',
                run=False,
            )
            try:
                child.run()
            except flow_api.DependencyFailedError as error:
                this.log(error)
            this.sleep_until(start + iteration * response['interval'])
        return this.success('all iterations started')
'''


@pytest.mark.parametrize("durable", ["true", "false"])
def test_a_form_in_two_phases(script: Callable[[str, str], Path], system: System, durable: str) -> None:
    name = f"recurring {durable}"
    script(name, TWO_PHASES.format(durable=durable))
    script("ticking", "def handler(system, this):\n    assert this.get('input_value')['iterations'] != 2\n")
    first = system.flow(name).run()
    assert first.get("message") == "requested details"
    [message] = [one for one in system.api.messages(unanswered=True).items if one.id == first.outputs["message_id"]]
    system.api.answer_message(message.id, {"flow_name": "ticking", "interval": 0.3, "max_iterations": 3, "start": True})
    [second] = [one for one in system.executions(flow_name=name) if one.id != first.id]
    second.wait(60)
    assert (second.status, second.get("message")) == (Status.ENDED_SUCCESS, "all iterations started")
    assert second.get("name") == "Recurring ticking"
    children = [one for one in system.executions(flow_name="ticking", limit=20) if one.get("parent_id") == second.id]
    assert [one.get("name") for one in reversed(children)] == [f"ticking iteration #{number}" for number in (1, 2, 3)]
    assert [str(one.status) for one in reversed(children)] == ["ENDED_SUCCESS", "ENDED_ERROR", "ENDED_SUCCESS"]
