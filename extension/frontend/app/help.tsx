/** The help: the keys of the page that is open. Fetched when it is asked for. */

import type { ComponentChildren } from "preact";
import { Button } from "../ui/controls";
import { Dialog } from "../ui/dialog";
import { GO_KEYS, PAGE_KEYS, ROW_KEYS } from "../ui/keys";
import type { App } from "./context";
import { TITLES } from "./views";

const NAMES: Record<string, string> = { ArrowDown: "↓", ArrowUp: "↑", ArrowRight: "→", ArrowLeft: "←", " ": "Space" };

type Line = [keys: readonly string[], word: string];

/** Show the keys of what is in `root` now. */
export function showHelp(app: App, root: HTMLElement): Promise<void> {
  const hasRows = Boolean(root.querySelector("main .cloudo-table"));
  const everywhere = Object.entries(PAGE_KEYS).map(([key, { word }]): Line => [[key], word]);
  const going = Object.entries(GO_KEYS).map(([key, view]): Line => [["g", key], TITLES[view] ?? view]);
  const hasTree = Boolean(root.querySelector("main [role=treegrid]"));
  const known = Object.entries(ROW_KEYS).filter(([key]) => hasTree || (key !== "ArrowRight" && key !== "ArrowLeft"));
  const rows = known.map(([key, { word }]): Line => [[NAMES[key] ?? key], word]);
  return app.dialogs.show((close) => (
    <Dialog
      title="Keyboard shortcuts"
      close={close}
      isInformation
      focus={(dialog) => dialog.querySelector<HTMLElement>(".cloudo-dialog-foot button")?.focus()}
      buttons={<Button onClick={close}>Close</Button>}
    >
      <Keys title="Everywhere" lines={[...everywhere, [["Esc"], "Close a dialog or a menu"]]} />
      {hasRows && <Keys title="In the list" lines={rows} />}
      <Keys title="Go to" lines={going} />
    </Dialog>
  ));
}

function Keys({ title, lines }: { title: string; lines: readonly Line[] }): ComponentChildren {
  return (
    <section class="cloudo-keys">
      <h3>{title}</h3>
      <dl>
        {lines.map(([keys, word]) => (
          <div key={word}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{word}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
