"""Scripts that make the same calls, in the same order, as those of the original's public library."""

from __future__ import annotations

#: A form whose answer a second execution of the same flow waits for; the rest of the script is its own.
_ASKING = """
import datetime, time
import flow_api

def handler(system: flow_api.System, this: flow_api.Execution):
    given = this.get('input_value') or {}
    asked = given.get('message_id')
    if asked is None:
        known = given.get('flow_name') or system.flow(given['flow_id'], by='id').get('name')
        message = system.message(subject='%(name)s', message_type='POPUP', body={
            'type': 'object',
            'properties': {
                'flow_name': {'label': 'Flow', 'element': 'string', 'type': 'string', 'example': known,
                              'default': known, 'order': 1},
                'hint': {'description': 'Give a *time* or a delay', 'element': 'markdown', 'order': 2},
                %(elements)s
                'begin': {'label': 'Begin', 'element': 'submit', 'type': 'boolean', 'order': 9},
            },
            'required': ['flow_name'],
        })
        asked = message.get('id')
        this.save(output_value={'message_id': asked})
        this.flow('%(name)s', name='%(name)s asks', message_id=asked, wait=False)
        return this.success('asked')
    answer = system.message(asked).wait().get('response')
    this.log(answer=answer)
    target = answer['flow_name']
    this.save(name=f'%(name)s {target}')
%(rest)s
"""
_LATER = {
    "elements": """
                'time': {'label': 'At', 'element': 'time', 'type': 'string', 'format': 'time', 'order': 3},
                'delay': {'label': 'After', 'element': 'number', 'type': 'number', 'example': '1', 'default': '1',
                          'order': 4},
""",
    "rest": """
    if answer.get('time') is not None:
        at = datetime.datetime.strptime(answer['time'], '%H:%M:%S%z').timetz()
        now = datetime.datetime.now(datetime.timezone.utc)
        moment = datetime.datetime.combine(now.date(), at)
        this.save(message=moment.isoformat(sep=' ', timespec='minutes'))
        this.sleep((moment - now).total_seconds())
    else:
        this.save(message=f"sleeping for {answer['delay']} seconds")
        this.sleep(answer['delay'])
    this.flow(target, inputs=given, name=f'later {target}', wait=False)
    return this.success(f'started {target}')
""",
}
_DAILY = {
    "elements": """
                'at': {'label': 'At', 'element': 'time', 'type': 'string', 'format': 'time', 'default': '08:30',
                       'order': 3},
                'day': {'label': 'Day', 'element': 'number', 'type': 'number', 'default': 1, 'order': 4},
                'most': {'label': 'How often', 'element': 'number', 'type': 'number', 'order': 5},
""",
    "rest": """
    import pytz
    from dateutil.relativedelta import relativedelta
    try:
        at = datetime.datetime.strptime(answer['at'], '%H:%M:%S%z').timetz()
    except ValueError:
        at = datetime.datetime.strptime(answer['at'], '%H:%M:%S').timetz()
    moment = datetime.datetime.combine(datetime.date.today().replace(day=answer['day']), at)
    if at.tzinfo is None:
        moment = pytz.timezone(answer.get('timezone', 'Europe/Vienna')).localize(moment)
    moment += relativedelta(months=1)
    this.log(moment=moment, wall=at.tzinfo is None, most=answer.get('most'))
    return this.success(str(at))
""",
}
_AGAIN = {
    "elements": """
                'interval': {'label': 'Seconds', 'element': 'number', 'type': 'number', 'example': 60, 'default': 60,
                             'order': 3},
                'wait': {'label': 'Wait', 'element': 'toggle', 'type': 'boolean', 'default': True, 'order': 4},
                'most': {'label': 'How often', 'element': 'number', 'type': 'number', 'order': 5},
""",
    "rest": """
    start = time.time()
    number = 0
    while answer.get('most') is None or number < answer['most']:
        number += 1
        this.save(message=f"run {number}/{answer['most']}")
        inputs = {'start': start, 'iterations': number, 'max_iterations': answer['most']}
        child = this.flow(target, inputs=inputs, name=f'{target} iteration #{number}', run=False)
        if answer['wait']:
            try:
                child.run()
            except Exception:
                this.log(f'run {number} failed')
            this.sleep(answer['interval'])
        else:
            child.run_async()
            this.sleep_until(start + number * answer['interval'])
    return this.success(f'started {number}')
""",
}
_PARTS = {"later": _LATER, "every day": _DAILY, "again": _AGAIN}


def asking(kind: str, *, name: str | None = None) -> str:
    """Return the source of a flow that asks by a form, and starts another one as the answer says.

    `name` is that of the flow, by default its kind.
    """
    source = _ASKING
    for part, text in {"name": name or kind, **_PARTS[kind]}.items():
        source = source.replace(f"%({part})s", text)
    return source
