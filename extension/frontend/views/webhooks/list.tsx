/** The webhooks: their flows, their addresses, and their last calls. */

import { useEffect, useMemo } from "preact/hooks";
import type { Webhook } from "../../api/types";
import { useApp, useExecutionNews } from "../../app/context";
import { usePaged } from "../../app/paged";
import { Button, Empty, Link } from "../../ui/controls";
import { Copyable } from "../../ui/copy";
import { List, NoMatch, sorted, useSort } from "../../ui/list";
import { Time } from "../../ui/marks";
import { Selection } from "../../ui/selection";
import { type Column } from "../../ui/table";
import { count } from "../../ui/words";
import { authenticationOf, callLine, webhookUrl } from "./call";
import { USUAL } from "./draft";
import { newWebhook } from "./form";
import { EnabledMark, ReplyMark, deleteWebhooks, switchWebhooks } from "./marks";

const PAGE = 100;
/** Calls that start nothing cause no event. */
const RELIST_MS = 15_000;

const columns: Column<Webhook>[] = [
  { name: "state", label: "State", cell: ({ enabled }) => <EnabledMark enabled={enabled} /> },
  { name: "name", label: "Webhook", cell: (row) => <NameCell row={row} />, sortBy: ({ name }) => name.toLowerCase() },
  { name: "address", label: "Address", cell: ({ name }) => <AddressCell name={name} /> },
  { name: "proof", label: "Authentication", cell: authenticationOf, sortBy: authenticationOf },
  {
    name: "last",
    label: "Last call",
    cell: (row) => <LastCell row={row} />,
    sortBy: ({ last_delivery }) => last_delivery?.received_at ?? "",
    isLargestFirst: true,
  },
  { name: "by", label: "Runs as", cell: ({ user_name }) => user_name },
];

const NameCell = ({ row: { name, flow_name } }: { row: Webhook }) => (
  <>
    <Link view="webhook" id={name} class="cloudo-title cloudo-plain-link">
      {name}
    </Link>
    <div class="cloudo-path">{flow_name}</div>
  </>
);

function AddressCell({ name }: { name: string }) {
  const { api } = useApp();
  return <Copyable text={webhookUrl(api.transport.baseUrl, name)} label={`Copy the address of ${name}`} />;
}

function LastCell({ row: { last_delivery } }: { row: Webhook }) {
  if (!last_delivery) return <span class="cloudo-muted">never</span>;
  return (
    <>
      <ReplyMark code={last_delivery.status_code} />
      <div class="cloudo-muted">
        <Time at={last_delivery.received_at} />
      </div>
    </>
  );
}

const keyOf = ({ name }: Webhook) => name;

export function WebhookList() {
  const { place } = useApp();
  const webhooks = usePaged<Webhook>(
    "webhook",
    {},
    { size: PAGE, concerns: (news) => news.has("webhook"), paceMs: 1_000 },
  );
  useExecutionNews((changed) => changed.some(({ webhook_name }) => webhook_name) && webhooks.refresh());
  useEffect(() => {
    const timer = setInterval(() => document.hidden || webhooks.refresh(), RELIST_MS);
    return () => clearInterval(timer);
  }, [webhooks.refresh]);
  const selection = useMemo(() => new Selection(), []);
  const [sort, onSort] = useSort(columns, "name");
  const q = place.route.value.query.q ?? "";
  const all = webhooks.value?.items ?? [];
  useEffect(() => {
    if (webhooks.value) selection.retain(new Set(webhooks.value.items.map(keyOf)));
  }, [webhooks.value]);
  const isMatch = ({ name, flow_name }: Webhook) => `${name}\n${flow_name}`.toLowerCase().includes(q.toLowerCase());
  const rows = sorted(all.filter(isMatch), columns, sort, keyOf);
  const onFilter = (text: string) => place.refine({ q: text.trim() });
  return (
    <List
      title="Webhooks"
      count={all.length || ""}
      rows={webhooks.value && rows}
      error={webhooks.error}
      retry={webhooks.refresh}
      columns={columns}
      keyOf={keyOf}
      wordOf={keyOf}
      selection={selection}
      onOpen={({ name }) => place.go("webhook", name)}
      filter={q}
      onFilter={onFilter}
      sort={sort}
      onSort={onSort}
      start={all.length > 0 && <NewButton />}
      actions={<Toolbar rows={all} selection={selection} refresh={webhooks.refresh} />}
      empty={
        all.length === 0 ? (
          <NoWebhooks />
        ) : (
          <NoMatch
            title="No matching webhooks"
            text={`None of ${count(all.length, "webhook")} has “${q}” in its name or its flow.`}
            onClear={() => onFilter("")}
          />
        )
      }
      footer={
        webhooks.value?.next && (
          <div class="cloudo-more">
            <Button icon="down" onClick={webhooks.more}>
              Load more
            </Button>
          </div>
        )
      }
    />
  );
}

interface ToolbarProps {
  rows: readonly Webhook[];
  selection: Selection;
  refresh: () => void;
}

function Toolbar({ rows, selection, refresh }: ToolbarProps) {
  const app = useApp();
  const selected = selection.keys.value;
  const chosen = rows.filter(({ name }) => selected.has(name));
  const turn = async (isOn: boolean) => {
    const those = chosen.filter(({ enabled }) => enabled !== isOn);
    await switchWebhooks(app, those, isOn);
    refresh();
  };
  const remove = async () => {
    await deleteWebhooks(app, chosen);
    refresh();
  };
  return (
    <>
      <Button icon="play" disabled={chosen.every(({ enabled }) => enabled)} onClick={() => void turn(true)}>
        Enable
      </Button>
      <Button icon="pause" disabled={!chosen.some(({ enabled }) => enabled)} onClick={() => void turn(false)}>
        Disable
      </Button>
      <Button icon="trash" disabled={chosen.length === 0} onClick={() => void remove()}>
        Delete
      </Button>
    </>
  );
}

function NewButton() {
  const app = useApp();
  const create = async () => {
    const webhook = await newWebhook(app);
    if (webhook) app.place.go("webhook", webhook.name);
  };
  return (
    <Button icon="plus" kind="primary" onClick={() => void create()}>
      New webhook…
    </Button>
  );
}

function NoWebhooks() {
  const { api } = useApp();
  const usual = { ...USUAL, name: "deploy", allowed_methods: ["GET", "POST"] as Webhook["allowed_methods"] };
  const line = callLine(usual, webhookUrl(api.transport.baseUrl, "deploy"));
  return (
    <Empty title="No webhooks yet">
      <p>
        A webhook is a public address that starts a flow. A code host, a shop, a chat or a script can call it. Create
        one, then call it like this:
      </p>
      <pre class="cloudo-curl" tabIndex={0}>
        {line}
      </pre>
      <NewButton />
    </Empty>
  );
}
