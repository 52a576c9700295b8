"""The tables of executions, their sources, logs, calls and waits, and of workers."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, Table, Text, false, text

from cloudo_kernel.store.tables.base import LabelSet, UtcMicroseconds, metadata

#: The sources that executions ran, each stored once.
sources = Table(
    "sources",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("text", Text, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("started_at", UtcMicroseconds, nullable=False),
    #: Counts up while the worker lives; observers watch it with their own monotonic clocks.
    Column("heartbeat", BigInteger, nullable=False, server_default="0"),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    #: A private worker runs only what was reserved for it, and has no scheduler.
    Column("private", Boolean, nullable=False),
    #: When the last two heartbeats came, by the wall clock.
    Column("beat_at", UtcMicroseconds),
    Column("previous_beat_at", UtcMicroseconds),
    #: The states of its background loops at its last heartbeat.
    Column("loops", JSON),
    Column("labels", LabelSet, nullable=False, server_default=""),
    #: It claims nothing more, and ends once its runs have ended.
    Column("draining", Boolean, nullable=False, server_default=false()),
)

executions = Table(
    "executions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("flow_name", Text),
    Column("status", Text, nullable=False),
    Column("message", Text),
    Column("input_value", JSON, nullable=False),
    Column("output_value", JSON, nullable=False),
    Column("parent_id", Text),
    Column("retry_of", Text),
    Column("schedule_id", Text),
    Column("webhook_name", Text),
    Column("trigger", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("scheduled_for", UtcMicroseconds),
    Column("started_at", UtcMicroseconds),
    Column("ended_at", UtcMicroseconds),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("progress", JSON, nullable=False),
    Column("error", JSON),
    Column("notebook", Text),
    Column("source_sha256", Text, ForeignKey("sources.sha256"), nullable=False),
    Column("tags", JSON, nullable=False),
    Column("retention_minutes", Integer),
    Column("expires_at", UtcMicroseconds),
    #: The labels that a worker must have to run it.
    Column("requires", LabelSet, nullable=False, server_default=""),
    # The columns from here on are not in the record.
    #: The kernel that runs it, and the folder in which it runs.
    Column("kernel", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("timeout_seconds", Float),
    #: Lower ones are claimed first: the priority of the flow, negated, as an index has one direction.
    Column("rank", Integer, nullable=False, server_default="0"),
    #: Maximum number of executions of its flow that run at once; None for no limit.
    Column("max_running", Integer),
    #: How many retries it has, how many of its runs have failed, and the delay before the first retry.
    Column("retries", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("retry_delay_seconds", Float, nullable=False, server_default="0"),
    #: How its processes are started, and the memory limit of its kernel.
    Column("engine", Text, nullable=False, server_default="kernel"),
    Column("memory_limit_mb", Integer),
    #: See `models.RunOptions`; null for most.
    Column("run_options", JSON(none_as_null=True)),
    #: How many executions are above it: its parent, that one's parent, and so on.
    Column("depth", Integer, nullable=False, server_default="0"),
    #: Created, but not to be claimed before it is allowed to run.
    Column("is_held", Boolean, nullable=False, server_default=false()),
    #: Its follow-ups by occasion; null for most.
    Column("follow_ups", JSON(none_as_null=True)),
    #: The worker that holds the lease.
    Column("worker_id", Text),
    #: The private worker that it is reserved for, while that worker lives.
    Column("reserved_for", Text),
    #: The reason of a stop request, if there is one.
    Column("stop_reason", Text),
    #: It is waiting, has what it waited for, and wants its slot back.
    Column("wants_slot", Boolean, nullable=False, server_default=false()),
    #: Whether its calls are recorded, so that it can be replayed.
    Column("durable", Boolean, nullable=False, server_default=false()),
    #: What a durable execution waits for: this number of its `waits`, or this moment.
    Column("wake_after", Integer),
    Column("wake_at", UtcMicroseconds),
    #: How often a durable execution has died since its last new call, and how many calls it had made by then.
    Column("deaths", Integer, nullable=False, server_default="0"),
    Column("died_at_call", Integer, nullable=False, server_default="0"),
    #: It is running and should pause before its next cell.
    Column("wants_pause", Boolean, nullable=False, server_default=false()),
    #: The unmasked inputs and outputs, sealed, and the keys of the outputs that the record masks.
    Column("sealed_inputs", Text),
    Column("sealed_outputs", Text),
    Column("protected_outputs", JSON(none_as_null=True)),
    #: The execution at the top of its tree; None for that one itself.
    Column("root_id", Text),
    # Those that a worker can run, in claim order, with all columns that decide a claim: it skips 10,000 that cannot
    # run yet in 3 ms.
    Index(
        "ix_executions_claims",
        *("status", "requires", "rank", "created_at", "id"),
        *("flow_name", "max_running", "scheduled_for", "reserved_for", "is_held"),
    ),
    # Lists read executions by descending id. With these indexes, no filter needs to sort or search.
    Index(None, "flow_name", "id"),
    Index(None, "parent_id", "id"),
    Index(None, "user_name", "id"),
    Index(None, "trigger", "id"),
    # Covers the numbers by hour.
    Index(
        "ix_executions_ended_at",
        *("ended_at", "status", "flow_name"),
        sqlite_where=text("ended_at IS NOT NULL"),
        postgresql_where=text("ended_at IS NOT NULL"),
    ),
    Index(None, "created_at"),
    Index(
        "ix_executions_ended",
        *("status", "id"),
        sqlite_where=text("ended_at IS NOT NULL"),
        postgresql_where=text("ended_at IS NOT NULL"),
    ),
    Index(
        "ix_executions_of_schedules",
        *("schedule_id", "id"),
        sqlite_where=text("schedule_id IS NOT NULL"),
        postgresql_where=text("schedule_id IS NOT NULL"),
    ),
    Index(None, "source_sha256"),
    Index(None, "expires_at"),
    Index(None, "wake_at"),
    # Few are scheduled, but every look at the queue reads the next one.
    Index(
        None,
        "scheduled_for",
        sqlite_where=text("scheduled_for IS NOT NULL"),
        postgresql_where=text("scheduled_for IS NOT NULL"),
    ),
    Index(None, "worker_id"),
    # The unended executions of a schedule; most executions have no schedule.
    Index(
        None,
        *("schedule_id", "status"),
        sqlite_where=text("schedule_id IS NOT NULL"),
        postgresql_where=text("schedule_id IS NOT NULL"),
    ),
    # The unended executions of a tree and of a webhook; most executions are in neither.
    *(
        Index(
            f"ix_executions_unended_of_{name}",
            column,
            sqlite_where=text(f"{column} IS NOT NULL AND ended_at IS NULL"),
            postgresql_where=text(f"{column} IS NOT NULL AND ended_at IS NULL"),
        )
        for column, name in (("root_id", "roots"), ("webhook_name", "webhooks"))
    ),
    # Few want their slot back, however many are waiting.
    Index(
        "ix_executions_wants_slot",
        "wants_slot",
        sqlite_where=text("wants_slot = 1"),
        postgresql_where=text("wants_slot"),
    ),
)

#: The tags of executions, for lists by tag; the record has them, too.
execution_tags = Table(
    "execution_tags",
    metadata,
    Column("tag", Text, primary_key=True),
    Column("execution_id", Text, primary_key=True),
    Index(None, "execution_id"),
)

#: The recorded calls of durable executions.
calls = Table(
    "calls",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("verb", Text, nullable=False),
    #: False: the call has begun, such as a wait or a step, and has no result yet.
    Column("is_done", Boolean, nullable=False),
    #: Arguments, result and error, sealed together: they belong to the flow alone and may be secret.
    Column("sealed", Text, nullable=False),
)

#: What durable executions wait for, such as the end of another execution.
waits = Table(
    "waits",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("subject_id", Text, primary_key=True),
    Index(None, "subject_id"),
)

#: Executions that need the end of another one: a waiting one to go on, a held one to run.
dependencies = Table(
    "dependencies",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("on_id", Text, primary_key=True),
    Index(None, "on_id"),
)

#: Pending follow-ups of ended executions. A row is deleted when it is done or given up.
follow_ups = Table(
    "follow_ups",
    metadata,
    Column("id", Text, primary_key=True),
    Column("execution_id", Text, nullable=False),
    Column("occasion", Text, nullable=False),
    #: The flow to start, or the address to call.
    Column("target", JSON, nullable=False),
    Column("is_call", Boolean, nullable=False),
    Column("due_at", UtcMicroseconds, nullable=False),
    #: The number of attempts of a call.
    Column("attempts", Integer, nullable=False, server_default="0"),
    #: The worker that has claimed it, and the private worker that it is reserved for.
    Column("worker_id", Text),
    Column("reserved_for", Text),
    Index(None, "due_at"),
    Index(None, "execution_id"),
)

log_lines = Table(
    "log_lines",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("time", UtcMicroseconds, nullable=False),
    Column("level", Text, nullable=False),
    Column("text", Text, nullable=False),
)

#: The results that flows show. They are rows, so that they are written and deleted with their execution.
results = Table(
    "results",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    #: Their order.
    Column("number", Integer, nullable=False),
    Column("types", JSON, nullable=False),
    Column("size", Integer, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    #: JSON text of `data` and `metadata`, masked.
    Column("bundle", Text, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_name", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body_sha256", Text, nullable=False),
    Column("execution_id", Text, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Index(None, "created_at"),
)
