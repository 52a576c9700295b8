"""Hostile texts in every field that a person or a flow can fill, and every view that shows them, in a real browser.

Each payload tries to run `ran(<its number>)`, or to fetch something from `hostile.test`. No script of theirs may run,
no request may leave, and their markup may not even reach the document: its policy would report that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect

from cloudo_kernel.client import Client
from cloudo_kernel.models import (
    CreateMessage,
    CreateSchedule,
    CreateToken,
    CreateWebhook,
    ScheduleTrigger,
    StartExecution,
    Status,
)
from tests.acceptance.page import BOOT, is_foreign, ready
from tests.flows import notebook, write_flow
from tests.server import RunningServer, Serve, until

pytestmark = pytest.mark.timeout(180)
expect.set_options(timeout=40_000)

#: `RUN` becomes the call that must not happen, `HOST` the address that must not be asked.
TEMPLATES = (
    # scripts
    "<script>RUN</script>",
    "</script><script>RUN</script>",
    "</title><script>RUN</script>",
    "<svg><script>RUN</script></svg>",
    "<template><script>RUN</script></template>",
    "<ScRiPt src=//HOST/a.js></sCrIpT>",
    "<script type=module>import '//HOST/b.js'</script>",
    # attributes
    "<img src=x onerror=RUN>",
    '"><img src=x onerror=RUN>',
    "'><img src=x onerror=RUN>",
    "`><img src=x onerror=RUN>",
    "</textarea><img src=x onerror=RUN>",
    "</style><img src=x onerror=RUN>",
    "--><img src=x onerror=RUN>",
    "]]><img src=x onerror=RUN>",
    "<svg/onload=RUN>",
    "<svg><animate onbegin=RUN attributeName=x dur=1s>",
    "<body onload=RUN>",
    "<details open ontoggle=RUN>x</details>",
    "<input autofocus onfocus=RUN>",
    "<x tabindex=1 autofocus onfocus=RUN>x</x>",
    "<video><source onerror=RUN></video>",
    "<audio src=x onerror=RUN></audio>",
    "<marquee onstart=RUN>x</marquee>",
    "<style>@keyframes k{}</style><b style=animation-name:k onanimationstart=RUN>x</b>",
    '" autofocus onfocus="RUN" x="',
    # what parsers read twice
    "<math><mtext></mtext><mglyph><style><img src=x onerror=RUN></style></mglyph></math>",
    '<noscript><p title="</noscript><img src=x onerror=RUN>">',
    "<svg><style><img src=x onerror=RUN></style></svg>",
    "&lt;img src=x onerror=RUN&gt;",
    "%3Cimg%20src=x%20onerror=RUN%3E",
    "\\u003cimg src=x onerror=RUN\\u003e",
    "<<img src=x onerror=RUN>script>",
    # frames and plug-ins
    '<iframe src="javascript:RUN"></iframe>',
    '<iframe srcdoc="<script>parent.RUN</script>"></iframe>',
    '<object data="javascript:RUN"></object>',
    '<embed src="javascript:RUN">',
    "<iframe src=//HOST/frame></iframe>",
    "<object data=//HOST/object></object>",
    # addresses
    "javascript:RUN",
    "data:text/html,<script>RUN</script>",
    '<a href="javascript:RUN">x</a>',
    '<a href="java&#10;script:RUN">x</a>',
    '<form action="javascript:RUN"><button>x</button></form>',
    '<meta http-equiv="refresh" content="0;url=javascript:RUN">',
    '<meta http-equiv="refresh" content="0;url=//HOST/refresh">',
    "<base href=//HOST/>",
    # requests
    "<img src=//HOST/a.png>",
    '<img srcset="//HOST/b.png 1x">',
    "<picture><source srcset=//HOST/c.png><img></picture>",
    "<video poster=//HOST/d.png></video>",
    "<svg><image href=//HOST/e.png /></svg>",
    "<input type=image src=//HOST/f.png>",
    "<table background=//HOST/g.png><tr><td>x</td></tr></table>",
    "<link rel=stylesheet href=//HOST/h.css>",
    "<link rel=prefetch href=//HOST/i>",
    '<style>@import "//HOST/j.css";</style>',
    "<style>*{background:url(//HOST/k.png)}</style>",
    '<div style="background:url(//HOST/l.png)">x</div>',
    # Markdown and LaTeX
    "[x](javascript:RUN)",
    "![x](http://HOST/m.png)",
    '![x" onerror="RUN](x)',
    "<javascript:RUN>",
    "$\\href{javascript:RUN}{x}$",
    "$\\unicode{<img src=x onerror=RUN>}$",
    # templates, quotes and terminals
    "{{constructor.constructor('RUN')()}}",
    "${RUN}",
    "'-RUN-'",
    '";RUN;//',
    "\u202e<img src=x onerror=RUN>",
    "\uff1cimg src=x onerror=RUN\uff1e<img src=x onerror=RUN>",
)
PAYLOADS = [
    text.replace("RUN", f"ran({number})").replace("HOST", f"hostile.test/{number}")
    for number, text in enumerate(TEMPLATES)
]
#: Only in what a flow prints: names cannot hold them.
TERMINAL = ["\x1b[31m<img src=x onerror=ran(900)>\x1b[0m", "\x1b]8;;javascript:ran(901)\x1b\\x\x1b]8;;\x1b\\"]
MEDIA_TYPES = ("text/markdown", "image/svg+xml", "text/latex", "application/javascript", "text/plain")

OUTPUTS = f"""
from IPython.display import display
payloads = {PAYLOADS!r}
for number, text in enumerate(payloads):
    this.log(text)
    print(text)
    this.set_output(text, {{"value": text}})
    for kind in ("text/html", {MEDIA_TYPES!r}[number % 5]):
        display({{kind: text}}, raw=True)
print(*{TERMINAL!r}, sep="\\n")
display({{"application/vnd.jupyter.widget-view+json": {{"model_id": "x"}}, "text/html": "".join(payloads)}}, raw=True)
"""
#: Tells every frame's scripts, and a policy's reports, to the test.
WATCH = """
window.addEventListener("securitypolicyviolation", (event) =>
  reported(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile} ${event.sample}`));
"""


class Wrong(list[str]):
    """What the payloads have done."""

    def watch(self, context: BrowserContext, server: RunningServer) -> None:
        context.expose_binding("ran", lambda source, *number: self.append(f"{number} ran in {source['frame'].url}"))
        context.expose_binding("reported", lambda source, text: self.append(f"{source['frame'].url}: {text}"))
        context.add_init_script(WATCH)
        context.on("request", lambda one: self.append(f"left: {one.url}") if is_foreign(one.url, server) else None)
        context.on("dialog", self.dismiss)
        context.on("page", lambda page: page.on("pageerror", lambda error: self.append(f"failed: {error}")))

    def dismiss(self, dialog: Dialog) -> None:
        self.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@pytest.fixture(scope="module")
def server(workspace: Path, serve: Serve) -> RunningServer:
    for number, text in enumerate(PAYLOADS):
        write_flow(workspace, f"each/{number}", "1", metadata={"title": text, "tags": [text], "description": text})
    write_everything(workspace)
    return serve(workspace, extensions={})  # Voila is one


def write_everything(workspace: Any) -> None:
    """Write one flow whose title, inputs, cells and outputs are payloads, and one of the same that does not end."""
    parameters = "\n".join(f"p{number} = {text!r}  # {text}" for number, text in enumerate(PAYLOADS))
    metadata = {"title": PAYLOADS[7], "description": "\n".join(PAYLOADS), "tags": PAYLOADS}
    for name, ends in (("everything", f"raise Exception({' '.join(PAYLOADS)!r})"), ("endless", "while True: pass")):
        path = write_flow(workspace, name, OUTPUTS, ends, parameters=parameters, metadata=metadata)
        book = nbformat.read(path, as_version=4)
        book.cells[1:1] = [nbformat.v4.new_markdown_cell(text) for text in PAYLOADS]
        nbformat.write(book, path)
    for number, text in enumerate(PAYLOADS):
        book = nbformat.reads(notebook("1"), as_version=4)
        book.metadata["title"] = text
        path = workspace / "dashboards" / f"{number}.ipynb"
        path.parent.mkdir(exist_ok=True)
        nbformat.write(book, path)


@pytest.fixture(scope="module")
def places(server: RunningServer) -> dict[str, str]:
    """Fill the store; return the address of every view."""
    inputs = {text: text for text in PAYLOADS}
    with server.client() as api:
        ended = api.start_execution(StartExecution(flow_name="everything"))
        endless = api.start_execution(StartExecution(flow_name="endless"))
        asked = fill_messages(api)
        schedule, webhook = fill_schedules(api), fill_webhook(api, server)
        for number, text in enumerate(PAYLOADS):
            tags = tuple(part for part in (text,) if len(part) <= 100)
            api.start_execution(StartExecution(flow_name=f"each/{number}", name=text, tags=tags, delay_seconds=9e5))
            api.create_token(CreateToken(name=text, actions=("read",), flows=(re.sub(r"[][\\]", "", text),)))
            api.save_setting(f"own {text if text.isprintable() else number}", text)
        pending = api.start_execution(StartExecution(script="1", inputs=inputs, delay_seconds=9e5))
        assert api.wait(ended.id, timeout=timedelta(seconds=60)).status is Status.ENDED_ERROR
        until(lambda: api.execution(endless.id).output_value, seconds=60)
    return {
        "home": "home",
        "flows": "flows",
        "flow": "flows/everything",
        "missing flow": "flows/%3Cimg%20src=x%20onerror=ran(1)%3E",
        "executions": "executions",
        "filtered executions": f"executions?q={PAYLOADS[7]}&tag={PAYLOADS[8]}&status={PAYLOADS[0]}&flow={PAYLOADS[34]}",
        "execution": f"executions/{ended.id}",
        "running execution": f"executions/{endless.id}",
        "pending execution": f"executions/{pending.id}",
        "messages": "messages",
        "message": f"messages/{asked}",
        "schedules": "schedules",
        "schedule": f"schedules/{schedule}",
        "webhooks": "webhooks",
        "webhook": f"webhooks/{webhook}",
        "tokens": "tokens",
        "settings": "settings",
        "workers": "workers",
    }


def fill_messages(api: Client) -> str:
    properties: dict[str, Any] = {"all": {"element": "markdown", "description": "\n\n".join(PAYLOADS)}}
    kinds = ("text", "select", "multiselect", "date", "toggle", "submit")
    for number, text in enumerate(PAYLOADS):
        kind = kinds[number % len(kinds)]
        about = {"element": kind, "label": text, "description": text}
        properties[text if text.isprintable() else f"key {number}"] = about | (
            {"enum": [text, "x"]} if "select" in kind else {}
        )
        api.create_message(CreateMessage(subject=text, message=text))
    return api.create_message(CreateMessage(subject="All", body={"properties": properties})).id


def fill_schedules(api: Client) -> str:
    last = ""
    for number, text in enumerate(PAYLOADS):
        made = CreateSchedule(
            flow_name=f"each/{number}", name=text, trigger=ScheduleTrigger(daily_at="08:30"), timezone="UTC"
        )
        last = api.create_schedule(made).id
    return last


def fill_webhook(api: Client, server: RunningServer) -> str:
    api.create_webhook(CreateWebhook(name="open", flow_name="each/1", key="correct-horse-battery"))
    for text in PAYLOADS:
        headers = {"User-Agent": text.encode("ascii", "replace").decode(), "Content-Type": "text/html"}
        httpx.post(f"{server.url}cloudo/webhook/open", headers=headers, content=text.encode(), params={"x": text})
    return "open"


@pytest.fixture(scope="module")
def wrong() -> Wrong:
    return Wrong()


@pytest.fixture(scope="module")
def page(browser: Browser, server: RunningServer, wrong: Wrong) -> Iterator[Page]:
    """A page so high that lists have all their rows."""
    context = browser.new_context(viewport={"width": 1280, "height": 6_500})
    context.set_default_timeout(40_000)
    context.request.get(f"{server.url}cloudo/api/1/user/me?token={server.token}")
    context.request.get(f"{server.url}api/me?token={server.token}")
    wrong.watch(context, server)
    yield context.new_page()
    context.close()


#: The texts of an element that the reader can see, in fields and tooltips too.
TEXTS = """(root) => [root.innerText, ...[...root.querySelectorAll("input, textarea, option, [title]")]
  .map((one) => `${one.value ?? ""} ${one.title}`)].join("\\n")"""


def numbers(text: str) -> set[int]:
    """Return the numbers of the payloads in a text."""
    return {int(one or other) for one, other in re.findall(r"ran\((\d+)\)|hostile\.test/(\d+)", text)}


def seen(page: Page) -> set[int]:
    """Return the numbers of the payloads that the reader of a page can see."""
    return numbers(page.locator("body").evaluate(TEXTS))


def settled(page: Page) -> bool:
    """Let the browser draw, and take its reports."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
    return True


def test_there_are_enough_payloads_and_the_watch_sees_them(page: Page, wrong: Wrong, server: RunningServer) -> None:
    assert len(set(PAYLOADS)) >= 50
    page.goto("about:blank")  # a page without a policy, and without a protocol
    html = "".join(PAYLOADS[7:26] + PAYLOADS[47:54]).replace("//hostile", "http://hostile")
    page.evaluate("html => { document.body.innerHTML = html }", html)
    until(lambda: settled(page) and {"ran", "left"} <= {word for one in wrong for word in re.findall(r"ran|left", one)})
    page.goto("about:blank")
    wrong.clear()
    page.goto(f"{server.url}cloudo/workers")
    ready(page)
    page.evaluate("() => { new Image().src = 'http://hostile.test/1' }")
    until(lambda: settled(page) and wrong, seconds=20)
    assert any("img-src http://hostile.test/1" in one for one in wrong)
    wrong.clear()


#: How many payloads each view shows at least. A page of messages or schedules has 50.
VIEWS = {
    "home": 60,
    "flows": 60,
    "flow": 60,
    "missing flow": 1,
    "executions": 60,
    "filtered executions": 3,
    "execution": 60,
    "running execution": 60,
    "pending execution": 60,
    "messages": 45,
    "message": 60,
    "schedules": 45,
    "schedule": 1,
    "webhooks": 0,
    "webhook": 0,
    "tokens": 60,
    "settings": 60,
    "workers": 0,
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_shows_payloads_as_text(
    page: Page, wrong: Wrong, server: RunningServer, places: dict[str, str], view: str
) -> None:
    page.goto(f"{server.url}cloudo/{places[view]}", wait_until="commit")
    ready(page)
    until(lambda: len(seen(page)) >= VIEWS[view], seconds=15, what=lambda: f"{sorted(seen(page))}")
    for details in page.locator("main details:not([open]) > summary").all()[:10]:
        details.click()
    frames = page.locator("main iframe")
    if view == "execution":
        # The last figure is one of the SVG images; the notebook has all that the flow printed and displayed.
        expect(frames).to_have_count(2)
        figure = page.frame_locator("main iframe[title='Last figure of the notebook']")
        expect(figure.locator("main img")).to_have_attribute("src", re.compile("^data:image/svg"))
        executed = page.frame_locator("main iframe[title='Executed notebook']").locator("body")
        until(lambda: 0 in numbers(executed.inner_text()), seconds=20)
    assert page.locator("main :is([onerror], [onload], [onfocus], script, base, object, embed, meta)").count() == 0
    assert all(frame.get_attribute("sandbox") == "" for frame in frames.all())
    assert settled(page)
    assert not wrong


def test_widgets_show_payloads_as_text_where_no_policy_helps(
    page: Page, wrong: Wrong, server: RunningServer, places: dict[str, str]
) -> None:
    """Voila's pages have no content security policy, and load their own scripts from elsewhere."""
    ended = places["execution"].rpartition("/")[2]
    widgets = ("Flows()", "Executions()", "InputRequests()", "FlowForm('everything')", f"ExecutionView({ended!r})")
    cells = ["from cloudo_kernel.widgets import *", *widgets]
    path = server.workspace / "widgets.ipynb"
    path.write_text(notebook(*cells), encoding="utf-8")
    page.goto(f"{server.url}voila/render/widgets.ipynb")
    expect(page.locator(".cloudo-output")).to_have_count(len(widgets), timeout=BOOT)
    expect(page.locator(".cloudo-skeleton")).to_have_count(0)
    for each in page.locator(".cloudo-output").all():
        until(lambda each=each: len(numbers(each.evaluate(TEXTS))) >= 45, seconds=15)  # type: ignore[misc]
    assert settled(page)
    assert not [one for one in wrong if "ran in" in one or "hostile.test" in one or "dialog" in one]
    wrong.clear()
