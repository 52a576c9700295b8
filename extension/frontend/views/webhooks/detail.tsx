/** One webhook: its address and how to call it, its limits, and its deliveries. */

import { useLayoutEffect, useRef } from "preact/hooks";
import { segment } from "../../api/client";
import type { Delivery, Execution, Webhook } from "../../api/types";
import { useApp, useExecutionNews } from "../../app/context";
import { usePaged, type Paged } from "../../app/paged";
import { useResource } from "../../app/resource";
import { Copyable, CopyableLines } from "../../ui/copy";
import { Button, Heading, Link, Panel } from "../../ui/controls";
import { Single } from "../../ui/single";
import { StatusMark, Time } from "../../ui/marks";
import { SimpleTable } from "../../ui/simple";
import { Facts, ValuesPanel } from "../../ui/values";
import { moment, size } from "../../ui/words";
import { authenticationOf, callLine, webhookUrl } from "./call";
import { editWebhook } from "./form";
import { EnabledMark, ReplyMark, deleteWebhooks, switchWebhooks } from "./marks";

/** Calls that start nothing cause no event. */
const RELIST_MS = 10_000;
const PAGE = 25;

export function WebhookDetail() {
  const { api, place } = useApp();
  const name = place.route.value.id ?? "";
  const path = `webhook/${segment(name)}`;
  const webhook = useResource<Webhook>(path, (signal) => api.get(path, {}, signal), {
    concerns: (news) => news.tells("webhook", name),
  });
  return (
    <Single
      label="Webhook"
      list="webhooks"
      heading={name}
      error={webhook.error}
      isGone={webhook.error?.status === 404}
      gone="It was deleted, or the address is mistyped. Its executions stay."
      retry={webhook.refresh}
    >
      {webhook.value && <Whole webhook={webhook.value} take={(saved) => webhook.set(() => saved)} />}
    </Single>
  );
}

interface WholeProps {
  webhook: Webhook;
  take: (webhook: Webhook) => void;
}

function Whole({ webhook, take }: WholeProps) {
  const { api } = useApp();
  const line = callLine(webhook, webhookUrl(api.transport.baseUrl, webhook.name));
  return (
    <>
      <div class="cloudo-heading">
        <div class="cloudo-heading-title">
          <Heading>{webhook.name}</Heading>
          <span class="cloudo-status-place">
            <EnabledMark enabled={webhook.enabled} />
          </span>
        </div>
        <Actions webhook={webhook} take={take} />
      </div>
      <div class="cloudo-detail">
        <WebhookFacts webhook={webhook} />
        <Panel title="Call it">
          {line ? (
            <CopyableLines text={line} label="Copy the command" />
          ) : (
            <p class="cloudo-muted">The sender signs its calls. Give it the address and the key.</p>
          )}
        </Panel>
        {Object.keys(webhook.inputs).length > 0 && (
          <ValuesPanel title="Fixed inputs" values={webhook.inputs} none="No fixed inputs." />
        )}
        <Deliveries name={webhook.name} />
      </div>
    </>
  );
}

function Actions({ webhook, take }: WholeProps) {
  const app = useApp();
  const bar = useRef<HTMLDivElement>(null);
  const wasSwitch = useRef(false);
  const turn = async () => {
    wasSwitch.current = bar.current?.contains(document.activeElement) ?? false;
    const [changed] = await switchWebhooks(app, [webhook], !webhook.enabled);
    if (changed) take(changed);
  };
  // Enable and Disable take each other's place, and the focus.
  useLayoutEffect(() => {
    if (wasSwitch.current) bar.current?.querySelector<HTMLElement>("[data-switch]")?.focus();
    wasSwitch.current = false;
  }, [webhook.enabled]);
  const edit = async () => {
    const saved = await editWebhook(app, webhook);
    if (!saved) return;
    take(saved);
    app.notices.tell(`Saved ${saved.name}`);
  };
  const remove = async () => {
    if (await deleteWebhooks(app, [webhook])) app.place.go("webhooks");
  };
  return (
    <div ref={bar} class="cloudo-bar cloudo-bar-inline" role="toolbar" aria-label="Actions">
      <Button
        data-switch
        icon={webhook.enabled ? "pause" : "play"}
        title={webhook.enabled ? "Callers get 404" : undefined}
        onClick={() => void turn()}
      >
        {webhook.enabled ? "Disable" : "Enable"}
      </Button>
      <Button icon="form" onClick={() => void edit()}>
        Edit
      </Button>
      <Button icon="trash" onClick={() => void remove()}>
        Delete
      </Button>
    </div>
  );
}

function WebhookFacts({ webhook }: { webhook: Webhook }) {
  const { api } = useApp();
  const { name, flow_name, signature, signature_header, has_key, key_header, rate_limit, modified_at } = webhook;
  const authentication = authenticationOf(webhook);
  return (
    <Facts
      facts={[
        ["Address", <Copyable key="url" text={webhookUrl(api.transport.baseUrl, name)} label="Copy the address" />],
        [
          "Flow",
          <Link key="flow" view="flow" id={flow_name}>
            {flow_name}
          </Link>,
        ],
        [
          "Executions",
          <Link key="runs" view="executions" query={{ flow: flow_name, trigger: "webhook" }}>
            Show all
          </Link>,
        ],
        ["Authentication", signature === "hmac-sha256" ? `${authentication} in ${signature_header}` : authentication],
        ["Key header", !signature && has_key && key_header],
        ["Methods", webhook.allowed_methods.join(", ")],
        ["Allowed networks", webhook.allowed_networks.join(", ") || "any"],
        ["Maximum calls", rate_limit === null ? "no limit" : `${rate_limit} per minute and caller`],
        ["Maximum body size", size(webhook.max_body_bytes)],
        ["Waits for the flow", `up to ${webhook.sync_timeout_seconds} s`],
        ["Reply", webhook.reply === "record" ? "the whole record" : "status, message and outputs"],
        ["Runs as", webhook.user_name],
        ["Modified", <Time key="modified" at={modified_at} />],
      ]}
    />
  );
}

function Deliveries({ name }: { name: string }) {
  const deliveries = usePaged<Delivery>(`webhook/${segment(name)}/delivery`, {}, {
    size: PAGE,
    concerns: (news) => news.tells("webhook", name),
    everyMs: RELIST_MS,
    paceMs: 500,
  } as Parameters<typeof usePaged>[2]);
  useExecutionNews((changed) => changed.some(({ webhook_name }) => webhook_name === name) && deliveries.refresh());
  const { value, error } = deliveries;
  return (
    <Panel title="Deliveries">
      {error && !value && <p class="cloudo-field-error">{error.message}</p>}
      {value?.items.length === 0 && <p class="cloudo-muted">No calls yet. Try the command above.</p>}
      {value && value.items.length > 0 && <DeliveryTable name={name} deliveries={deliveries} />}
      {value?.next && (
        <div class="cloudo-more">
          <Button icon="down" kind="small" onClick={deliveries.more}>
            Load more
          </Button>
        </div>
      )}
    </Panel>
  );
}

function DeliveryTable({ name, deliveries }: { name: string; deliveries: Paged<Delivery> }) {
  const { api, notices } = useApp();
  const replay = async ({ id }: Delivery) => {
    try {
      notices.set("act", "");
      notices.started([await api.post<Execution>(`webhook/${segment(name)}/delivery/${id}/replay`)]);
      deliveries.refresh();
    } catch (error) {
      notices.fail("act", error);
    }
  };
  return (
    <SimpleTable label="Table of deliveries" heads={["Received", "From", "Reply", "Outcome", "Replay"]}>
      {deliveries.value?.items.map((row) => (
        <tr key={row.id}>
          <td>
            <Time at={row.received_at} />
          </td>
          <td>{row.source_ip}</td>
          <td>
            <ReplyMark code={row.status_code} />
          </td>
          <td class="cloudo-why">
            <Outcome of={row} />
          </td>
          <td>
            {row.execution && (
              <Button
                icon="again"
                kind="small"
                aria-label={`Replay the call of ${moment(row.received_at)}`}
                title="Start it again, with the same inputs"
                onClick={() => void replay(row)}
              >
                Replay
              </Button>
            )}
          </td>
        </tr>
      ))}
    </SimpleTable>
  );
}

function Outcome({ of: { execution, execution_id, reason } }: { of: Delivery }) {
  return (
    <>
      {execution ? (
        <Link view="execution" id={execution.id} aria-label="Open the execution">
          <StatusMark status={execution.status} />
        </Link>
      ) : (
        execution_id && <span class="cloudo-muted">Its execution was deleted.</span>
      )}
      {reason && <div class="cloudo-muted">{reason}</div>}
    </>
  );
}
