"""The tables of schedules and of what became of their times."""

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
    # From here on: what the record does not show.
    #: Counts the changes: who has looked and wants to write finds out whether somebody was quicker.
    Column("revision", BigInteger, nullable=False, server_default="0"),
    #: The next run with its jitter; None while there is nothing to do.
    Column("fire_at", UtcMicroseconds),
    #: The last occurrence along the plan: none before it comes again, whatever the clock says.
    Column("last_due", UtcMicroseconds),
    #: The execution from whose end the interval counts.
    Column("awaited_id", Text),
    #: How many executions in a row have failed.
    Column("error_count", Integer, nullable=False, server_default="0"),
    #: With `pin_source`: what it runs.
    Column("source_sha256", Text, ForeignKey("sources.sha256")),
    #: The inputs that the record masks, as they are.
    Column("sealed_inputs", Text),
    Index(None, "fire_at"),
    Index(None, "flow_name"),
    Index(None, "source_sha256"),
)

#: What became of each time of a schedule, or of a run of times.
occurrences = Table(
    "occurrences",
    metadata,
    Column("schedule_id", Text, primary_key=True),
    Column("due", UtcMicroseconds, primary_key=True),
    #: Of a run of times: the last one, and how many there are but for those that were started out of turn.
    Column("until", UtcMicroseconds),
    Column("count", BigInteger, nullable=False, server_default="1"),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("execution_id", Text),
    #: Its execution is a part of catching up: no policy skips or cancels it, and others of its kind queue behind it.
    Column("is_caught_up", Boolean, nullable=False, server_default=false()),
    #: It is caught up because it was late, not because it came while others were caught up.
    Column("is_late", Boolean, nullable=False, server_default=false()),
    Column("iteration", BigInteger),
    Column("lateness_seconds", Float),
    #: When that was decided; a time may be caught up, or run by hand, long after it was due.
    Column("noted_at", UtcMicroseconds, nullable=False),
    Index(None, "noted_at"),
)

#: When no worker with a scheduler was alive. The row without an end begins with the newest heartbeat.
absences = Table(
    "absences",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("start", UtcMicroseconds, nullable=False),
    Column("end", UtcMicroseconds),
    Index(None, "end"),
)
