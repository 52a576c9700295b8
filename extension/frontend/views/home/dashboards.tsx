/** People's own dashboards: notebooks in `dashboards/`, which open in Voila at their own addresses. */

import type { OwnDashboard, Page } from "../../api/types";
import { useApp } from "../../app/context";
import { useResource } from "../../app/resource";
import { LabLink, Panel } from "../../ui/controls";
import { Icon } from "../../ui/icons";
import { cut } from "../../ui/words";

/** The panel of the home page; nothing without a dashboard. */
export function Dashboards() {
  const { api } = useApp();
  const fetch = (signal: AbortSignal) => api.get<Page<OwnDashboard>>("dashboard", { limit: 100 }, signal);
  const items = useResource<Page<OwnDashboard>>("dashboards", fetch).value?.items ?? [];
  const base = api.transport.baseUrl;
  if (items.length === 0) return null;
  return (
    <Panel title="Dashboards" count={items.length}>
      <ul class="cloudo-told-list">
        {items.map(({ path, name, title, url }) => (
          <li key={path}>
            {url && base ? (
              <a class="cloudo-link" href={`${base}${url}`} target="_blank" rel="noopener">
                {cut(title)}
              </a>
            ) : (
              <span>{cut(title)}</span>
            )}
            {title !== name && <span class="cloudo-path">{cut(name)}</span>}
            <LabLink path={path} class="cloudo-icon-button cloudo-quiet" label={`Open ${name} in JupyterLab`}>
              <Icon name="open" />
            </LabLink>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
