/** The facts about one execution: times, origin, and what it belongs to. */

import type { Execution } from "../../api/types";
import { Copyable } from "../../ui/copy";
import { Breakable, Link } from "../../ui/controls";
import { Duration, Time } from "../../ui/marks";
import { Facts } from "../../ui/values";
import { cut, isEnded, moment } from "../../ui/words";
import { OriginLink } from "./origin";

/** One line below the heading: what ran, when, and for how long. */
export function Summary({ execution }: { execution: Execution }) {
  const { flow_name, name, started_at, created_at, message, error } = execution;
  return (
    <p class="cloudo-summary">
      {flow_name && flow_name !== name && (
        <Link view="flow" id={flow_name}>
          <Breakable text={cut(flow_name)} />
        </Link>
      )}
      <span>
        {started_at ? "started" : "created"} <Time at={started_at ?? created_at} />
      </span>
      {started_at && <Duration of={execution} />}
      {!error && message && <span class="cloudo-summary-message">{cut(message, 2_000)}</span>}
    </p>
  );
}

export function ExecutionFacts({ execution }: { execution: Execution }) {
  const { id, flow_name, type, started_at, ended_at, status, scheduled_for, attempt } = execution;
  const { parent_id, retry_of, progress, notebook, user_name, tags, expires_at } = execution;
  const isLater = !started_at && !isEnded(status) && scheduled_for;
  const flow = flow_name ? (
    <Link view="flow" id={flow_name}>
      {flow_name}
    </Link>
  ) : (
    type === "SCRIPT" && "script"
  );
  return (
    <Facts
      facts={[
        ["Flow", flow],
        ["Duration", started_at && <Duration of={execution} />],
        ["Created", moment(execution.created_at)],
        [attempt > 0 ? "Next attempt" : "Not before", isLater && moment(scheduled_for)],
        ["Started", moment(started_at)],
        ["Ended", moment(ended_at)],
        ["Started by", <StartedBy key="by" execution={execution} user={user_name} parent={parent_id} />],
        [
          "Retry of",
          retry_of && (
            <Link view="execution" id={retry_of}>
              an earlier execution
            </Link>
          ),
        ],
        ["Attempt", attempt > 1 && String(attempt)],
        [
          "Cell",
          started_at && !isEnded(status) && progress.cell && <span class="cloudo-wide">{cut(progress.cell)}</span>,
        ],
        [
          "Tags",
          tags.length > 0 &&
            tags.map((tag) => (
              <Link key={tag} view="executions" query={{ tag }} class="cloudo-tag cloudo-plain-link">
                {cut(tag, 60)}
              </Link>
            )),
        ],
        [
          "Notebook",
          notebook && (
            <code class="cloudo-wide">
              <Breakable text={notebook} />
            </code>
          ),
        ],
        ["Kept until", expires_at && moment(expires_at)],
        ["Id", <Copyable key="id" text={id} label="Copy the id" />],
      ]}
    />
  );
}

function StartedBy({ execution, user, parent }: { execution: Execution; user: string; parent: string | null }) {
  return (
    <span>
      {user}, <OriginLink of={execution} />
      {parent && (
        <>
          {", "}
          <Link view="execution" id={parent}>
            its parent
          </Link>
        </>
      )}
    </span>
  );
}
