"""API tokens, as both ends of `Api` make and revoke them. What they open is in `tests/extension/test_tokens.py`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cloudo_kernel import errors
from cloudo_kernel.models import CreateToken, Token
from tests.contract.conftest import End


def make(end: End, **fields: object) -> str:
    return end.api.create_token(CreateToken.model_validate({"name": "ci", "actions": ["read"], **fields})).id


def test_a_token_shows_its_secret_once(end: End) -> None:
    request = {"name": "ci", "actions": ["execution:start", "read"], "flows": ["etl/*"], "expires_in_seconds": 3600}
    made = end.api.create_token(CreateToken.model_validate(request))
    assert made.secret.startswith(made.prefix)
    assert made.secret not in repr(made)
    assert len(made.secret) == len("cloudo_") + 64
    assert (made.actions, made.flows, made.last_used_at) == (("execution:start", "read"), ("etl/*",), None)
    assert made.expires_at == made.created_at + timedelta(hours=1)
    [listed] = [token for token in end.api.tokens() if token.id == made.id]
    assert listed == Token.model_validate(made.model_dump(exclude={"secret"}))
    told = end.api.events(after=0, subject_id=made.id).items
    assert [event.type for event in told] == ["TokenCreated"]
    assert made.secret not in told[0].model_dump_json()
    files = [path for path in (end.workspace / ".cloudo").iterdir() if path.is_file()]
    assert not [path for path in files if made.secret.encode() in path.read_bytes()]


def test_a_revoked_token_is_gone(end: End) -> None:
    first, second = make(end), make(end)
    assert [token.id for token in end.api.tokens()][:2] == [second, first]
    end.api.revoke_token(first)
    assert first not in [token.id for token in end.api.tokens()]
    with pytest.raises(errors.TokenNotFound):
        end.api.revoke_token(first)
    assert end.api.events(after=0, subject_id=first).items[-1].type == "TokenRevoked"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expires_at"),
        ({"expires_at": datetime(2900, 1, 1, tzinfo=UTC), "expires_in_seconds": 1}, "expires_at"),
        ({"flows": ["etl/*"], "actions": ["read", "script:run"]}, "actions"),
        ({"flows": ["etl/*"], "actions": ["file:write"]}, "actions"),
    ],
)
def test_what_makes_no_sense_is_refused(end: End, fields: dict[str, object], field: str) -> None:
    with pytest.raises(errors.MalformedRequest) as refused:
        make(end, **fields)
    assert refused.value.field == field
