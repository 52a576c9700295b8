"""The tables of schedules, their occurrences, and absences of schedulers."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, Table, Text, false

from cloudo_kernel.store.tables.base import UtcMicroseconds, metadata

schedules = Table(
    "schedules",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("flow_name", Text, nullable=False),
    Column("trigger", JSON, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("overlap", Text, nullable=False),
    Column("catch_up", Text, nullable=False),
    Column("catch_up_window_seconds", Float),
    Column("jitter_seconds", Float, nullable=False),
    Column("pause_on_error_count", Integer),
    Column("on_success", JSON(none_as_null=True)),
    Column("on_error", JSON(none_as_null=True)),
    Column("on_recovery", JSON(none_as_null=True)),
    Column("pin_source", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("end_at", UtcMicroseconds),
    Column("max_iterations", BigInteger),
    Column("iterations", BigInteger, nullable=False, server_default="0"),
    Column("start", UtcMicroseconds, nullable=False),
    Column("next_run", UtcMicroseconds),
    Column("user_name", Text, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("broken", Text),
    Column("pause_reason", Text),
    # The columns from here on are not in the record.
    #: Counts changes, so that a writer can tell whether the schedule has changed since it was read.
    Column("revision", BigInteger, nullable=False, server_default="0"),
    #: The next run, jitter included; None while no run is planned.
    Column("fire_at", UtcMicroseconds),
    #: The last planned occurrence: earlier ones never recur, whatever the clock says.
    Column("last_due", UtcMicroseconds),
    #: The execution from whose end the interval is counted.
    Column("awaited_id", Text),
    #: How many executions in a row have failed.
    Column("error_count", Integer, nullable=False, server_default="0"),
    #: With `pin_source`: the source that it runs.
    Column("source_sha256", Text, ForeignKey("sources.sha256")),
    #: The unmasked inputs, sealed.
    Column("sealed_inputs", Text),
    Index(None, "fire_at"),
    Index(None, "flow_name"),
    Index(None, "source_sha256"),
)

#: The outcome of each due time of a schedule, or of a range of due times.
occurrences = Table(
    "occurrences",
    metadata,
    Column("schedule_id", Text, primary_key=True),
    Column("due", UtcMicroseconds, primary_key=True),
    #: For a range: the last due time, and how many there are, not counting those started out of turn.
    Column("until", UtcMicroseconds),
    Column("count", BigInteger, nullable=False, server_default="1"),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("execution_id", Text),
    #: Its execution is part of catching up: no policy skips or cancels it, and others like it queue behind it.
    Column("is_caught_up", Boolean, nullable=False, server_default=false()),
    #: It is caught up because it was late, not because it was due while others were caught up.
    Column("is_late", Boolean, nullable=False, server_default=false()),
    Column("iteration", BigInteger),
    Column("lateness_seconds", Float),
    #: When the outcome was decided. A due time may be caught up, or run by hand, much later.
    Column("noted_at", UtcMicroseconds, nullable=False),
    Index(None, "noted_at"),
)

#: Periods without a live scheduler. The row without an end starts at the newest heartbeat.
absences = Table(
    "absences",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("start", UtcMicroseconds, nullable=False),
    Column("end", UtcMicroseconds),
    Index(None, "end"),
)
