"""The rights that a token grants, and their checks. `api` declares the action that each verb requires. No I/O."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final

from cloudo_kernel.api import VERBS
from cloudo_kernel.errors import PermissionDenied
from cloudo_kernel.models import Action, Token

#: The prefix of every API token, which secret scanners and people recognise.
TOKEN_PREFIX: Final = "cloudo_"  # noqa: S105 -- the prefix is not secret

#: Actions on single flows. A token that is limited to some flows cannot use any other action.
OF_FLOWS: Final = frozenset(
    {
        Action.READ,
        Action.EXECUTION_START,
        Action.EXECUTION_WRITE,
        Action.SCHEDULE_WRITE,
        Action.MESSAGE_WRITE,
        Action.WEBHOOK_WRITE,
        Action.EVERYTHING,
    }
)


@dataclass(frozen=True)
class Rights:
    """What one caller may do."""

    actions: frozenset[str]
    #: Patterns of flow names; None for all flows.
    flows: tuple[str, ...] | None = None
    #: The token that grants them; None for a caller without a token, with all rights.
    token: Token | None = None
    #: Whether the caller may act for other users: choose the user of a webhook, see and revoke tokens.
    is_administrator: bool = False

    @classmethod
    def of(cls, token: Token) -> Rights:
        """Return the rights that a token grants."""
        return cls(frozenset(token.actions), token.flows, token)

    @property
    def are_all(self) -> bool:
        """Whether the caller may do everything."""
        return Action.EVERYTHING in self.actions and self.flows is None

    def may(self, action: Action) -> bool:
        """Tell whether the caller may perform this action, at least on some flow."""
        is_named = action in self.actions or Action.EVERYTHING in self.actions
        return is_named and (self.flows is None or action in OF_FLOWS)

    def fits(self, flow_name: str | None) -> bool:
        """Tell whether the rights cover this flow; None is for records that belong to no flow."""
        if self.flows is None:
            return True
        if flow_name is None:
            return False
        name = unicodedata.normalize("NFC", flow_name)  # as the catalog does
        return any(fnmatchcase(name, pattern) for pattern in self.flows)

    def check(self, action: Action) -> None:
        """Raise `PermissionDenied` unless the caller may perform this action."""
        if not self.may(action):
            raise PermissionDenied(f"This takes the right to {action}. {self}")

    def check_verb(self, verb: str) -> None:
        """Raise `PermissionDenied` unless the caller may use this verb, at least on some flow."""
        declared = VERBS[verb]
        if declared.action is not None:
            self.check(declared.action)
        if declared.beyond_flows:
            self.check_beyond_flows()

    def check_flow(self, flow_name: str) -> None:
        """Raise `PermissionDenied` unless the rights cover this flow, whether it exists or not."""
        if not self.fits(flow_name):
            raise PermissionDenied(f"This is about the flow {flow_name[:200]!r}. {self}", field="flow_name")

    def of_administrator(self) -> Rights:
        """Return these rights for an administrator. The rights of a limited token stay the same."""
        return replace(self, is_administrator=True) if self.are_all else self

    def acting_for(self, wanted: str | None, *, user_name: str, before: str | None = None) -> str:
        """Return the user that a request acts for: the caller, unless an administrator wants another user.

        If an administrator changes something without a `wanted` user, the user `before` stays. Raises
        `PermissionDenied`.
        """
        if self.is_administrator:
            return wanted or before or user_name
        if wanted not in (None, user_name):
            raise PermissionDenied(
                "Only administrators act for other users: leave user_name out, or name yourself.",
                field="user_name",
            )
        return user_name

    def check_beyond_flows(self) -> None:
        """Raise `PermissionDenied` if the caller is limited to some flows."""
        if self.flows is not None:
            raise PermissionDenied(f"This belongs to no flow. {self}")

    def check_grant(self, actions: Iterable[Action], expires_at: datetime | None) -> None:
        """Raise `PermissionDenied` if a token would get more rights than these.

        Flow patterns need no check: a caller that is limited to some flows cannot create tokens at all.
        """
        for action in actions:
            if action == Action.EVERYTHING and not self.are_all:
                raise PermissionDenied(f"This would give the right to everything. {self}", field="actions")
            if not self.may(action):
                raise PermissionDenied(f"This would give the right to {action}. {self}", field="actions")
        end = self.token.expires_at if self.token else None
        if end is not None and (expires_at is None or expires_at > end):
            raise PermissionDenied(
                "This would give rights for longer than one has them. Let it expire no later than this token does.",
                field="expires_at",
            )

    def __str__(self) -> str:
        """Describe the rights, for an error message."""
        name = f" {self.token.prefix}…" if self.token else ""
        actions = "everything" if Action.EVERYTHING in self.actions else ", ".join(sorted(self.actions)) or "nothing"
        flows = "" if self.flows is None else f", and only with the flows {', '.join(self.flows)}"
        return f"The token{name} may: {actions}{flows}."


#: The rights of a caller that no token limits.
EVERYTHING: Final = Rights(frozenset({Action.EVERYTHING}))
#: The rights of an administrator that no token limits.
ADMINISTRATION: Final = EVERYTHING.of_administrator()
