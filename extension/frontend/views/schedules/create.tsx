/** Creating a schedule from anywhere. The dialog is fetched when it is first opened. */

import type { App } from "../../app/context";
import { Link } from "../../ui/controls";
import { inZone } from "../../ui/zones";

/** Open the dialog for a new schedule, of this flow if there is one, and tell when it runs. */
export async function openNewSchedule(app: App, flowName = ""): Promise<void> {
  const { newSchedule } = await import("./edit");
  await newSchedule(app, flowName, ({ id, name, next_run, timezone, description }) => {
    const next = next_run ? `next ${inZone(next_run, timezone)} (${timezone})` : description;
    const link = (
      <Link view="schedule" id={id}>
        Show schedule
      </Link>
    );
    app.notices.tell(`Created ${name}: ${next}`, link);
  });
}
