/** The switch for notifications of this browser. */

import { useState } from "preact/hooks";
import { useApp } from "../../app/context";
import { choice, turnOff, turnOn, type Choice } from "../../app/notifications";
import { Button, Panel } from "../../ui/controls";

const TEXTS: Record<Choice, string> = {
  on: "On: this browser tells you when your runs end or ask something, while no tab of Cloudo is in sight.",
  off: "This browser can tell you when your runs end or ask something, while no tab of Cloudo is in sight. Of runs by schedules and webhooks it tells failures only.",
  denied: "The browser blocks notifications of this page. Allow them in its settings for this site, then reload.",
  impossible: "Browsers show notifications only over https, and on localhost.",
};

export function NotificationPanel() {
  const app = useApp();
  const [now, setNow] = useState(choice);
  const on = () => void turnOn(app).then(setNow, (error: unknown) => app.notices.fail("act", error));
  const action =
    now === "off" ? <Button onClick={on}>Turn on</Button> : <Button onClick={() => setNow(turnOff())}>Turn off</Button>;
  return (
    <Panel title="Notifications in this browser" actions={(now === "on" || now === "off") && action}>
      <p class="cloudo-muted" role="status">
        {TEXTS[now]}
      </p>
    </Panel>
  );
}
