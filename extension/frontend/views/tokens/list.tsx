/** The user's API tokens: what each allows, until when, and when it was last used. */

import { useEffect, useMemo } from "preact/hooks";
import { segment } from "../../api/client";
import type { Page, Token } from "../../api/types";
import { useApp, type App } from "../../app/context";
import { useResource } from "../../app/resource";
import { Button, Empty } from "../../ui/controls";
import { Icon } from "../../ui/icons";
import { List, NoMatch, sorted, useSort } from "../../ui/list";
import { Time } from "../../ui/marks";
import { Selection } from "../../ui/selection";
import { type Column } from "../../ui/table";
import { count, cut, now } from "../../ui/words";
import { ACTIONS, newToken } from "./form";

/** The use of a token causes no event. */
const RELIST_MS = 30_000;

const isExpired = ({ expires_at }: Token): boolean => expires_at !== null && Date.parse(expires_at) <= now();

const columns: Column<Token>[] = [
  { name: "state", label: "State", cell: (token) => <StateMark token={token} /> },
  {
    name: "name",
    label: "Token",
    cell: (token) => <NameCell token={token} />,
    sortBy: ({ name }) => name.toLowerCase(),
  },
  {
    name: "may",
    label: "Allows",
    cell: ({ actions }) =>
      actions.map((action) => (
        <span key={action} class="cloudo-tag" title={ACTIONS[action]}>
          {action === "*" ? "everything" : action}
        </span>
      )),
  },
  {
    name: "for",
    label: "Flows",
    cell: ({ flows }) =>
      flows === null ? (
        <span class="cloudo-muted">all flows</span>
      ) : (
        flows.map((flow) => (
          <div key={flow} class="cloudo-path">
            {flow}
          </div>
        ))
      ),
  },
  {
    name: "until",
    label: "Expires",
    cell: ({ expires_at }) => (expires_at ? <Time at={expires_at} /> : <span class="cloudo-muted">never</span>),
    sortBy: ({ expires_at }) => expires_at ?? "~",
  },
  {
    name: "used",
    label: "Last used",
    cell: ({ last_used_at }) => (last_used_at ? <Time at={last_used_at} /> : <span class="cloudo-muted">never</span>),
    sortBy: ({ last_used_at }) => last_used_at ?? "",
    isLargestFirst: true,
  },
];

function StateMark({ token }: { token: Token }) {
  const status = isExpired(token) ? "ENDED_CANCELLED" : "ENDED_SUCCESS";
  return (
    <span class="cloudo-status" data-status={isExpired(token) ? undefined : status}>
      <Icon name={status} />
      <span>{isExpired(token) ? "Expired" : "Valid"}</span>
    </span>
  );
}

const NameCell = ({ token: { name, prefix } }: { token: Token }) => (
  <>
    <div class="cloudo-title">{cut(name)}</div>
    <div class="cloudo-path">{prefix}…</div>
  </>
);

const keyOf = ({ id }: Token): string => id;

const matches = ({ name, prefix, actions, flows }: Token, q: string): boolean =>
  [name, prefix, ...actions, ...(flows ?? [])].some((text) => text.toLowerCase().includes(q.toLowerCase()));

export function TokenList() {
  const app = useApp();
  const { api, place } = app;
  const fetch = async (signal: AbortSignal) => (await api.get<Page<Token>>("token", { limit: 500 }, signal)).items;
  const tokens = useResource<Token[]>("tokens", fetch, { concerns: (news) => news.has("token"), everyMs: RELIST_MS });
  const selection = useMemo(() => new Selection(), []);
  const [sort, onSort] = useSort(columns, "-");
  const q = place.route.value.query.q ?? "";
  const all = tokens.value ?? [];
  useEffect(() => selection.retain(new Set(all.map(keyOf))), [tokens.value]);
  const onFilter = (text: string) => place.refine({ q: text.trim() });
  const create = (
    <Button icon="plus" kind="primary" onClick={() => void newToken(app)}>
      New token…
    </Button>
  );
  const none = (
    <Empty title="No tokens yet">
      <p>
        A token lets a program use Cloudo, such as a CI job, with only the permissions it needs. Its secret is shown
        once, and it can be revoked at any time.
      </p>
      {create}
    </Empty>
  );
  const isNone = selection.keys.value.size === 0;
  return (
    <List
      title="Tokens"
      rows={
        tokens.value &&
        sorted(
          all.filter((token) => matches(token, q)),
          columns,
          sort,
          keyOf,
        )
      }
      error={tokens.error}
      retry={tokens.refresh}
      columns={columns}
      keyOf={keyOf}
      wordOf={({ name, prefix }) => `${name}, ${prefix}`}
      selection={selection}
      filter={q}
      onFilter={onFilter}
      sort={sort}
      onSort={onSort}
      start={all.length > 0 && create}
      more={
        api.transport.baseUrl && (
          <div>
            <a class="cloudo-link" href={`${api.transport.baseUrl}cloudo/explorer`}>
              API explorer
            </a>
          </div>
        )
      }
      actions={
        <Button icon="trash" disabled={isNone} onClick={() => void revoke(app, all, selection, tokens.refresh)}>
          Revoke
        </Button>
      }
      empty={
        q ? (
          <NoMatch
            title="No matching tokens"
            text="No token has this in its name, actions or flows."
            onClear={() => onFilter("")}
          />
        ) : (
          none
        )
      }
    />
  );
}

async function revoke(app: App, tokens: readonly Token[], selection: Selection, refresh: () => void): Promise<void> {
  const chosen = tokens.filter(({ id }) => selection.has(id));
  const what = chosen.length === 1 ? chosen[0]?.name : count(chosen.length, "token");
  const text =
    "Programs that use it are refused at once, and so are tokens that were created with it. Executions that it started continue.";
  if (!(await app.dialogs.confirm({ title: `Revoke ${what}?`, text, word: "Revoke" }))) return;
  try {
    await Promise.all(chosen.map(({ id }) => app.api.delete(`token/${segment(id)}`)));
  } catch (error) {
    app.notices.fail("act", error);
  }
  refresh();
}
