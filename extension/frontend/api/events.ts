/** The shared worker that holds the one event stream of a browser. `stream.ts` connects to it from each tab. */

import { Connection, type Report } from "./connection";

interface SharedWorkerScope {
  onconnect: ((event: MessageEvent) => void) | null;
}

/** A message from a tab. */
interface Greeting {
  url?: string;
  after?: number | null;
  closed?: boolean;
}

const scope = globalThis as unknown as SharedWorkerScope;
const ports = new Set<MessagePort>();
let connection: Connection | null = null;

const tell = (report: Report) => ports.forEach((port) => port.postMessage(report));

scope.onconnect = ({ ports: [port] }) => {
  if (!port) return;
  port.onmessage = ({ data }: MessageEvent<Greeting>) => {
    if (data.closed) {
      ports.delete(port);
      if (ports.size === 0) {
        connection?.close();
        connection = null;
      }
    } else if (data.url) {
      ports.add(port);
      if (connection) greet(port, connection, data.after ?? null);
      else connection = new Connection(data.url, tell, data.after ?? null);
    }
  };
  port.start();
};

/** Tell a tab that connects later what it has missed. */
function greet(port: MessagePort, connected: Connection, after: number | null): void {
  const missed = connected.eventsAfter(after);
  if (missed?.length) port.postMessage({ kind: "events", events: missed } satisfies Report);
  port.postMessage(
    (connected.isOpen ? { kind: "opened", isComplete: missed !== null } : { kind: "lost" }) satisfies Report,
  );
}
