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


def test_a_large_list_is_compressed_for_those_who_accept_that(http: httpx.Client) -> None:
    large, plain = http.get("/flow"), http.get("/flow", headers={"Accept-Encoding": "gzip;q=0, br"})
    assert large.content == plain.content
    assert large.headers["Content-Encoding"] == "gzip"
    assert int(large.headers["Content-Length"]) < len(large.content) / 2
    assert int(plain.headers["Content-Length"]) == len(plain.content)
    assert "Content-Encoding" not in plain.headers
    assert large.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    for path in ("/flow?limit=1", "/flow/quick"):
        assert "Content-Encoding" not in http.get(path).headers
