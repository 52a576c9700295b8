"""A setting for flow authors: a cached record, the store behind it, and the lock with its name."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from cloudo_kernel import models
from cloudo_kernel.api import AuthorApi
from cloudo_kernel.errors import MalformedRequest, ResourceNotFoundError, StaleAttempt, Unavailable
from cloudo_kernel.flow_api import cards
from cloudo_kernel.flow_api.values import pick, to_json, to_limit

#: Stands for "not given", because None is a value.
UNSET: Any = type("Unset", (), {"__repr__": lambda _self: "…"})()


class Setting:
    """A named value. `get` and `set` use a local copy; `load` and `save` use the store.

    As a context manager it holds the lock with its name.
    """

    def __init__(
        self, api: AuthorApi, name: str, record: models.Setting | None = None, *, secret: bool | None = None
    ) -> None:
        """`secret` tells whether the next `save` makes it a secret; None does not change that."""
        self._api = api
        self._name = name
        self._secret = secret
        self._record = record
        #: A value that was set but not saved yet.
        self._wanted: Any = UNSET
        #: For each open `with` block, whether it acquired the lock and so releases it.
        self._releases: list[bool] = []

    @property
    def name(self) -> str:
        """The setting's name."""
        return self._name

    def get(self, *fields: str) -> Any:
        """Return the value, or other fields, from the local copy. The first call fetches it.

        Raises `ResourceNotFoundError`.
        """
        return pick(fields or ("value",), models.Setting.model_fields, "A setting", self._field)

    def load(self, *fields: str) -> Any:
        """Fetch the setting and return its value, or other fields. Raises `ResourceNotFoundError`."""
        self._record, self._wanted = self._api.setting(self._name), UNSET
        return self.get(*fields)

    def set(self, value: Any) -> Self:
        """Change the local copy; `save()` stores it."""
        self._wanted = to_json(value, name="value")
        return self

    def save(self, value: Any = UNSET) -> Self:
        """Store `value`, or the value from `set`. Raises `SettingInvalid` if it is invalid for a documented setting."""
        if value is not UNSET:
            self.set(value)
        if self._wanted is UNSET:
            raise MalformedRequest(f"Nothing to save: give the value of {self._name!r}.", field="value")
        saved = self._api.save_setting(self._name, self._wanted, secret=self._secret)
        # The reply masks the value of a secret. Keep the value that was saved.
        self._record = saved.model_copy(update={"value": self._wanted}) if saved.secret else saved
        self._wanted = UNSET
        return self

    def exists(self) -> bool:
        """Tell whether the setting was saved."""
        try:
            return self._api.setting(self._name).modified_at is not None
        except ResourceNotFoundError:
            return False

    def delete(self) -> None:
        """Delete the setting. A documented one returns to its default. Raises `ResourceNotFoundError`."""
        self._api.delete_setting(self._name)
        self._record, self._wanted = None, UNSET

    def acquire(self, timeout_seconds: float | None = None) -> Self:
        """Acquire the lock with this name. A wait for another execution that holds it releases the slot.

        Waiting executions get it in order. It is released by `release`, or when this execution ends in any state.
        Acquiring a held lock again has no effect. Raises `WaitTimeout` after `timeout_seconds`.
        """
        self._acquire(timeout_seconds)
        return self

    def release(self) -> Self:
        """Release the lock. No effect if this execution does not hold it."""
        self._lock_call("release_lock")(self._name)
        return self

    def __enter__(self) -> Self:
        """Acquire the lock. Only the block that acquired it releases it."""
        self._releases.append(self._acquire(None))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release the lock if this block acquired it."""
        if self._releases.pop():
            with suppress(StaleAttempt, Unavailable):  # the end of the execution releases it
                self.release()

    def _acquire(self, seconds: float | None) -> bool:
        return bool(self._lock_call("acquire_lock")(self._name, timeout=to_limit(seconds)))

    def _lock_call(self, verb: str) -> Any:
        call = getattr(self._api, verb, None)
        if call is None:
            raise MalformedRequest("Only an execution can hold a lock: use it inside a flow.")
        return call

    def _field(self, field: str) -> Any:
        if field == "value" and self._wanted is not UNSET:
            return self._wanted
        if self._record is None:
            self._record = self._api.setting(self._name)
        return getattr(self._record, field)

    def __repr__(self) -> str:
        return f"<Setting {self._name!r}>"

    def _row(self) -> dict[str, str]:
        return {"NAME": self.name, "VALUE": cards.short(self.get())}
