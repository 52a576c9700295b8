/** The shared worker that holds the one event stream of a browser. `stream.ts` connects to it from each tab. */

import { Connection, type Report } from "./connection";

interface SharedWorkerScope {
  onconnect: ((event: MessageEvent) => void) | null;
}

const scope = globalThis as unknown as SharedWorkerScope;
const ports = new Set<MessagePort>();
let connection: Connection | null = null;

const tell = (report: Report) => ports.forEach((port) => port.postMessage(report));

scope.onconnect = ({ ports: [port] }) => {
  if (!port) return;
  port.onmessage = ({ data }: MessageEvent<{ url?: string; closed?: boolean }>) => {
    if (data.closed) {
      ports.delete(port);
      if (ports.size === 0) {
        connection?.close();
        connection = null;
      }
    } else if (data.url) {
      ports.add(port);
      connection ??= new Connection(data.url, tell);
      port.postMessage({ kind: connection.isOpen ? "opened" : "lost" } satisfies Report);
    }
  };
  port.start();
};
