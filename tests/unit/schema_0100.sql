CREATE TABLE absences (
  id INTEGER NOT NULL,
  start BIGINT NOT NULL,
  "end" BIGINT,
  CONSTRAINT pk_absences PRIMARY KEY (id)
);
CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE calls (
  execution_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  verb TEXT NOT NULL,
  is_done BOOLEAN NOT NULL,
  sealed TEXT NOT NULL,
  CONSTRAINT pk_calls PRIMARY KEY (execution_id, position)
);
CREATE TABLE deliveries (
  id TEXT NOT NULL,
  webhook_name TEXT NOT NULL,
  received_at BIGINT NOT NULL,
  source_ip TEXT NOT NULL,
  status_code INTEGER,
  execution_id TEXT,
  delivery_id TEXT,
  reason TEXT,
  CONSTRAINT pk_deliveries PRIMARY KEY (id)
);
CREATE TABLE dependencies (
  execution_id TEXT NOT NULL,
  on_id TEXT NOT NULL,
  CONSTRAINT pk_dependencies PRIMARY KEY (execution_id, on_id)
);
CREATE TABLE events (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  time BIGINT NOT NULL,
  type TEXT NOT NULL,
  subject_type TEXT NOT NULL,
  subject_id TEXT NOT NULL,
  user_name TEXT,
  data JSON NOT NULL
);
CREATE TABLE executions (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  flow_name TEXT,
  status TEXT NOT NULL,
  message TEXT,
  input_value JSON NOT NULL,
  output_value JSON NOT NULL,
  parent_id TEXT,
  retry_of TEXT,
  schedule_id TEXT,
  webhook_name TEXT,
  "trigger" TEXT NOT NULL,
  user_name TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  scheduled_for BIGINT,
  started_at BIGINT,
  ended_at BIGINT,
  attempt INTEGER DEFAULT '0' NOT NULL,
  progress JSON NOT NULL,
  error JSON,
  notebook TEXT,
  source_sha256 TEXT NOT NULL,
  tags JSON NOT NULL,
  retention_minutes INTEGER,
  expires_at BIGINT,
  kernel TEXT NOT NULL,
  folder TEXT NOT NULL,
  timeout_seconds FLOAT,
  rank INTEGER DEFAULT '0' NOT NULL,
  max_running INTEGER,
  retries INTEGER DEFAULT '0' NOT NULL,
  failures INTEGER DEFAULT '0' NOT NULL,
  retry_delay_seconds FLOAT DEFAULT '0' NOT NULL,
  engine TEXT DEFAULT 'kernel' NOT NULL,
  memory_limit_mb INTEGER,
  run_options JSON,
  depth INTEGER DEFAULT '0' NOT NULL,
  is_held BOOLEAN DEFAULT 0 NOT NULL,
  follow_ups JSON,
  worker_id TEXT,
  reserved_for TEXT,
  stop_reason TEXT,
  wants_slot BOOLEAN DEFAULT 0 NOT NULL,
  durable BOOLEAN DEFAULT 0 NOT NULL,
  wake_after INTEGER,
  wake_at BIGINT,
  deaths INTEGER DEFAULT '0' NOT NULL,
  died_at_call INTEGER DEFAULT '0' NOT NULL,
  wants_pause BOOLEAN DEFAULT 0 NOT NULL,
  sealed_inputs TEXT,
  sealed_outputs TEXT,
  protected_outputs JSON,
  root_id TEXT,
  CONSTRAINT pk_executions PRIMARY KEY (id),
  CONSTRAINT fk_executions_source_sha256_sources FOREIGN KEY(source_sha256) REFERENCES sources (sha256)
);
CREATE TABLE follow_ups (
  id TEXT NOT NULL,
  execution_id TEXT NOT NULL,
  occasion TEXT NOT NULL,
  target JSON NOT NULL,
  is_call BOOLEAN NOT NULL,
  due_at BIGINT NOT NULL,
  attempts INTEGER DEFAULT '0' NOT NULL,
  worker_id TEXT,
  reserved_for TEXT,
  CONSTRAINT pk_follow_ups PRIMARY KEY (id)
);
CREATE TABLE idempotency_keys (
  user_name TEXT NOT NULL,
  "key" TEXT NOT NULL,
  body_sha256 TEXT NOT NULL,
  execution_id TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT pk_idempotency_keys PRIMARY KEY (user_name, "key")
);
CREATE TABLE lock_waiters (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  execution_id TEXT NOT NULL
);
CREATE TABLE locks (
  name TEXT NOT NULL,
  execution_id TEXT NOT NULL,
  acquired_at BIGINT NOT NULL,
  call TEXT,
  CONSTRAINT pk_locks PRIMARY KEY (name)
);
CREATE TABLE log_lines (
  execution_id TEXT NOT NULL,
  number INTEGER NOT NULL,
  time BIGINT NOT NULL,
  level TEXT NOT NULL,
  text TEXT NOT NULL,
  CONSTRAINT pk_log_lines PRIMARY KEY (execution_id, number)
);
CREATE TABLE messages (
  id TEXT NOT NULL,
  subject TEXT NOT NULL,
  body JSON,
  level TEXT NOT NULL,
  execution_id TEXT,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  response JSON,
  answered_by TEXT,
  answered_at BIGINT,
  state TEXT NOT NULL,
  user_name TEXT NOT NULL,
  protected TEXT,
  delete_after BIGINT,
  CONSTRAINT pk_messages PRIMARY KEY (id)
);
CREATE TABLE occurrences (
  schedule_id TEXT NOT NULL,
  due BIGINT NOT NULL,
  until BIGINT,
  count BIGINT DEFAULT '1' NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT,
  execution_id TEXT,
  is_caught_up BOOLEAN DEFAULT 0 NOT NULL,
  is_late BOOLEAN DEFAULT 0 NOT NULL,
  iteration BIGINT,
  lateness_seconds FLOAT,
  noted_at BIGINT NOT NULL,
  CONSTRAINT pk_occurrences PRIMARY KEY (schedule_id, due)
);
CREATE TABLE schedules (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  flow_name TEXT NOT NULL,
  "trigger" JSON NOT NULL,
  timezone TEXT NOT NULL,
  inputs JSON NOT NULL,
  overlap TEXT NOT NULL,
  catch_up TEXT NOT NULL,
  catch_up_window_seconds FLOAT,
  jitter_seconds FLOAT NOT NULL,
  pause_on_error_count INTEGER,
  on_success JSON,
  on_error JSON,
  on_recovery JSON,
  pin_source BOOLEAN NOT NULL,
  enabled BOOLEAN NOT NULL,
  end_at BIGINT,
  max_iterations BIGINT,
  iterations BIGINT DEFAULT '0' NOT NULL,
  start BIGINT NOT NULL,
  next_run BIGINT,
  user_name TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  broken TEXT,
  pause_reason TEXT,
  revision BIGINT DEFAULT '0' NOT NULL,
  fire_at BIGINT,
  last_due BIGINT,
  awaited_id TEXT,
  error_count INTEGER DEFAULT '0' NOT NULL,
  source_sha256 TEXT,
  sealed_inputs TEXT,
  CONSTRAINT pk_schedules PRIMARY KEY (id),
  CONSTRAINT fk_schedules_source_sha256_sources FOREIGN KEY(source_sha256) REFERENCES sources (sha256)
);
CREATE TABLE settings (
  name TEXT NOT NULL,
  value JSON,
  secret BOOLEAN DEFAULT 0 NOT NULL,
  sealed TEXT,
  modified_at BIGINT NOT NULL,
  modified_by TEXT NOT NULL,
  CONSTRAINT pk_settings PRIMARY KEY (name)
);
CREATE TABLE sources (
  sha256 TEXT NOT NULL,
  text TEXT NOT NULL,
  CONSTRAINT pk_sources PRIMARY KEY (sha256)
);
CREATE TABLE tokens (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  prefix TEXT NOT NULL,
  actions JSON NOT NULL,
  flows JSON,
  user_name TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  last_used_at BIGINT,
  sha256 TEXT NOT NULL,
  made_by TEXT,
  CONSTRAINT pk_tokens PRIMARY KEY (id)
);
CREATE TABLE waits (
  execution_id TEXT NOT NULL,
  subject_id TEXT NOT NULL,
  CONSTRAINT pk_waits PRIMARY KEY (execution_id, subject_id)
);
CREATE TABLE webhook_responses (
  execution_id TEXT NOT NULL,
  status INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  content BLOB NOT NULL,
  is_sealed BOOLEAN DEFAULT 0 NOT NULL,
  CONSTRAINT pk_webhook_responses PRIMARY KEY (execution_id)
);
CREATE TABLE webhooks (
  name TEXT NOT NULL,
  flow_name TEXT NOT NULL,
  user_name TEXT NOT NULL,
  signature TEXT,
  signature_header TEXT,
  signed_content TEXT NOT NULL,
  timestamp_header TEXT,
  public_url TEXT,
  delivery_id TEXT,
  challenge_parameter TEXT,
  key_header TEXT NOT NULL,
  allowed_methods JSON NOT NULL,
  allowed_networks JSON NOT NULL,
  max_body_bytes BIGINT NOT NULL,
  rate_limit INTEGER,
  allowed_origins JSON DEFAULT '[]' NOT NULL,
  raw BOOLEAN DEFAULT 0 NOT NULL,
  enabled BOOLEAN NOT NULL,
  sync_timeout_seconds FLOAT NOT NULL,
  inputs JSON NOT NULL,
  reply TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  modified_at BIGINT NOT NULL,
  kept_key TEXT,
  sealed_inputs TEXT,
  CONSTRAINT pk_webhooks PRIMARY KEY (name)
);
CREATE TABLE workers (
  id TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  heartbeat BIGINT DEFAULT '0' NOT NULL,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  private BOOLEAN NOT NULL,
  beat_at BIGINT,
  previous_beat_at BIGINT,
  loops JSON,
  CONSTRAINT pk_workers PRIMARY KEY (id)
);
CREATE INDEX ix_absences_end ON absences ("end");
CREATE INDEX ix_deliveries_received_at ON deliveries (received_at);
CREATE UNIQUE INDEX ix_deliveries_webhook_name_delivery_id ON deliveries (webhook_name, delivery_id);
CREATE INDEX ix_deliveries_webhook_name_id ON deliveries (webhook_name, id);
CREATE INDEX ix_dependencies_on_id ON dependencies (on_id);
CREATE INDEX ix_events_subject_id_id ON events (subject_id, id);
CREATE INDEX ix_events_time ON events (time);
CREATE INDEX ix_executions_claims ON executions (status, rank, created_at, id, flow_name, max_running, scheduled_for, reserved_for, is_held);
CREATE INDEX ix_executions_created_at ON executions (created_at);
CREATE INDEX ix_executions_ended ON executions (status, id) WHERE ended_at IS NOT NULL;
CREATE INDEX ix_executions_expires_at ON executions (expires_at);
CREATE INDEX ix_executions_flow_name_id ON executions (flow_name, id);
CREATE INDEX ix_executions_of_schedules ON executions (schedule_id, id) WHERE schedule_id IS NOT NULL;
CREATE INDEX ix_executions_parent_id_id ON executions (parent_id, id);
CREATE INDEX ix_executions_schedule_id_status ON executions (schedule_id, status) WHERE schedule_id IS NOT NULL;
CREATE INDEX ix_executions_scheduled_for ON executions (scheduled_for) WHERE scheduled_for IS NOT NULL;
CREATE INDEX ix_executions_source_sha256 ON executions (source_sha256);
CREATE INDEX ix_executions_unended_of_roots ON executions (root_id) WHERE root_id IS NOT NULL AND ended_at IS NULL;
CREATE INDEX ix_executions_unended_of_webhooks ON executions (webhook_name) WHERE webhook_name IS NOT NULL AND ended_at IS NULL;
CREATE INDEX ix_executions_user_name_id ON executions (user_name, id);
CREATE INDEX ix_executions_wake_at ON executions (wake_at);
CREATE INDEX ix_executions_wants_slot ON executions (wants_slot) WHERE wants_slot = 1;
CREATE INDEX ix_executions_worker_id ON executions (worker_id);
CREATE INDEX ix_follow_ups_due_at ON follow_ups (due_at);
CREATE INDEX ix_follow_ups_execution_id ON follow_ups (execution_id);
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);
CREATE INDEX ix_lock_waiters_execution_id ON lock_waiters (execution_id);
CREATE UNIQUE INDEX ix_lock_waiters_name_execution_id ON lock_waiters (name, execution_id);
CREATE INDEX ix_locks_execution_id ON locks (execution_id);
CREATE INDEX ix_messages_delete_after ON messages (delete_after);
CREATE INDEX ix_messages_execution_id ON messages (execution_id);
CREATE INDEX ix_messages_state_expires_at ON messages (state, expires_at);
CREATE INDEX ix_occurrences_noted_at ON occurrences (noted_at);
CREATE INDEX ix_schedules_fire_at ON schedules (fire_at);
CREATE INDEX ix_schedules_flow_name ON schedules (flow_name);
CREATE INDEX ix_schedules_source_sha256 ON schedules (source_sha256);
CREATE INDEX ix_tokens_made_by ON tokens (made_by);
CREATE UNIQUE INDEX ix_tokens_sha256 ON tokens (sha256);
CREATE INDEX ix_tokens_user_name ON tokens (user_name);
CREATE INDEX ix_waits_subject_id ON waits (subject_id);
CREATE INDEX ix_webhooks_flow_name ON webhooks (flow_name);
