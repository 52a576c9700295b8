"""What pages and replies tell browsers to do, and not to do."""

from __future__ import annotations

import httpx


def policy(reply: httpx.Response) -> dict[str, str]:
    """Return the directives of the policy, by name."""
    parts = [part.strip().partition(" ") for part in reply.headers["Content-Security-Policy"].split(";")]
    return {name: value for name, _, value in parts}


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
