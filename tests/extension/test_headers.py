"""What pages and replies tell browsers to do, and not to do."""

from __future__ import annotations

import re

import httpx

from tests.server import RunningServer


def policy(reply: httpx.Response) -> dict[str, str]:
    """Return the directives of the policy, by name."""
    parts = [part.strip().partition(" ") for part in reply.headers["Content-Security-Policy"].split(";")]
    return {name: value for name, _, value in parts}


def test_the_dashboards_scripts_are_its_own(server: RunningServer, http: httpx.Client) -> None:
    pages = [http.get(f"{server.url}cloudo/") for _ in range(2)]
    nonces = []
    for page in pages:
        told = policy(page)
        [nonce] = re.findall(r"'nonce-([\w-]{20,})'", told["script-src"])
        assert told["script-src"] == f"'self' 'nonce-{nonce}' 'unsafe-eval' blob:"
        host = server.url.split("/")[2]
        assert told["connect-src"] == f"'self' ws://{host} wss://{host}"
        assert (told["frame-ancestors"], told["object-src"], told["base-uri"]) == ("'self'", "'none'", "'self'")
        # Every script of the page has the number, an address of the server, or is data.
        for attributes in re.findall(r"<script\b([^>]*)>", page.text):
            assert f'nonce="{nonce}"' in attributes or 'src="/' in attributes or 'type="application/' in attributes
        assert not re.search(r"<[^>]+\son[a-z]+=", page.text.split('<div id="rendered_cells">')[0])
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert page.headers["Cache-Control"] == "no-store"
        nonces.append(nonce)
    assert nonces[0] != nonces[1]


def test_executed_notebooks_and_replies_can_do_nothing(http: httpx.Client) -> None:
    ended = http.post("/execution", json={"flow_name": "quick", "wait": True}).json()
    page = http.get(f"/execution/{ended['id']}/notebook?format=html")
    told = policy(page)
    assert (told["default-src"], told["frame-ancestors"]) == ("'none'", "'self'")
    assert "sandbox" in told
    assert "script-src" not in told
    assert page.headers["Referrer-Policy"] == "no-referrer"
    for reply in (page, http.get("/flow"), http.get("/no/such/thing"), http.post("/execution", json={})):
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'self'" in reply.headers["Content-Security-Policy"]
