/** Icons: strokes on a 16 × 16 field. A leading `#` fills the shape instead. */

const STROKES: Record<string, readonly string[]> = {
  PENDING: ["M8 2a6 6 0 0 1 4.2 1.8M14 8a6 6 0 0 1-1.8 4.2M8 14a6 6 0 0 1-4.2-1.8M2 8a6 6 0 0 1 1.8-4.2"],
  RUNNING: ["M8 2a6 6 0 1 1-6 6"],
  WAITING: ["M4.5 2h7M4.5 14h7", "M5.2 2c0 3.2 5.6 4 5.6 6s-5.6 2.8-5.6 6M10.8 2c0 3.2-5.6 4-5.6 6s5.6 2.8 5.6 6"],
  PAUSED: ["M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2", "M6.5 6v4M9.5 6v4"],
  ENDED_SUCCESS: ["#M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13Zm3.3 4.1L7.2 9.7 5 7.5l-1 1 3.2 3.2 5.1-5.1Z"],
  ENDED_ERROR: [
    "#M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2Zm.6 3.2L4.7 5.8 6.9 8l-2.2 2.2 1.1 1.1L8 9.1l2.2 2.2 1.1-1.1L9.1 8l2.2-2.2-1.1-1.1L8 6.9Z",
  ],
  ENDED_CANCELLED: ["M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2", "M4 12 12 4"],
  play: ["#M4 2.6v10.8c0 .5.5.8.9.5l8.3-5.4c.4-.3.4-.8 0-1L4.9 2.1c-.4-.3-.9 0-.9.5Z"],
  form: ["M2 4h6M12 4h2M2 12h2M8 12h6", "M10 2.3v3.4M6 10.3v3.4"],
  search: ["M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.4 10.4l3.3 3.3"],
  close: ["M4 4l8 8M12 4l-8 8"],
  copy: ["M6 5.5h7v8H6zM3.5 10.5H3V2.5h7v.8"],
  open: ["M6.5 3.5H3v9.5h9.5V9.5M9 2.5h4.5V7M13.3 2.7 7.5 8.5"],
  up: ["M4 9.5 8 5.5l4 4"],
  down: ["M4 6.5l4 4 4-4"],
  trash: ["M2.5 4.5h11M6 4.5v-2h4v2M4 4.5l.7 9h6.6l.7-9"],
  pause: ["#M4.5 3h2.6v10H4.5zM8.9 3h2.6v10H8.9z"],
  stop: ["#M4 4h8v8H4z"],
  again: ["M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3"],
  past: ["M3 8a5 5 0 1 0 1.5-3.6M3 2v3h3", "M8 5.5V8l1.8 1.2"],
  plus: ["M8 3v10M3 8h10"],
  info: ["M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2", "M8 7.3v3.7M8 4.9v.3"],
  help: ["M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2", "M6.2 6.3a1.8 1.8 0 1 1 2.7 1.6c-.6.4-.9.7-.9 1.4M8 11.3v.3"],
  alert: ["M8 2.2 14.5 13.5h-13Z", "M8 6.5v3.2M8 11.4v.3"],
  theme: ["M8 2.2a5.8 5.8 0 1 1 0 11.6a5.8 5.8 0 1 1 0-11.6", "#M8 2.2a5.8 5.8 0 0 1 0 11.6Z"],
};

/** An icon. Screen readers ignore it: a word stands beside it, or its button has a label. */
export const Icon = ({ name }: { name: string }) => (
  <Shape strokes={STROKES[name] ?? []} class={`cloudo-icon-${name}`} />
);

/** Strokes drawn as an icon. */
export function Shape({ strokes, class: more = "" }: { strokes: readonly string[]; class?: string }) {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true" class={`cloudo-icon ${more}`}>
      {strokes.map((stroke) => (
        <path key={stroke} d={stroke.replace("#", "")} class={stroke.startsWith("#") ? "cloudo-filled" : undefined} />
      ))}
    </svg>
  );
}
