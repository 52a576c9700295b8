/**
 * Imports the widget from the page's own files. A widget has no server to import them from: their texts come with it, as
 * `FILES`, and each becomes a blob. Their names hold a hash of their content, so that all widgets of a document share
 * them.
 */

declare const FILES: Record<string, string>;
declare const ENTRY: string;

const shared = globalThis as unknown as { cloudoFiles?: Record<string, string> };
const urls = (shared.cloudoFiles ??= {});

function urlOf(name: string): string {
  return (urls[name] ??= URL.createObjectURL(new Blob([linked(FILES[name] ?? "")], { type: "text/javascript" })));
}

/** A file can only name what it imports at once by its address; files that it imports later may import it in turn. */
const linked = (text: string): string =>
  text
    .replace(/\b(from|import)"\.\/([\w-]+\.js)"/g, (_, word: string, name: string) => `${word}"${urlOf(name)}"`)
    .replace(/\bimport\("\.\/([\w-]+\.js)"\)/g, 'import(cloudoFiles["$1"])');

Object.keys(FILES).forEach(urlOf);
const widget = (await import(urlOf(ENTRY))) as { default: unknown };

export default widget.default;
