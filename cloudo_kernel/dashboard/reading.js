/**
 * What is typed into a form, as the service takes it: moments and numbers.
 */

/** What is typed is tried, to show what would come of it, when the typing pauses for so many milliseconds. */
export const TRIED_AFTER = 250;

const two = (number) => String(number).padStart(2, "0");

/** RFC 3339 → what a datetime-local control takes, in the reader's zone. */
export function toLocal(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return "";
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** The other way, with the reader's offset. */
export function fromLocal(text) {
  const at = new Date(text);
  const offset = -at.getTimezoneOffset();
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.trunc(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${toLocal(text)}${zone}`;
}

/** The number that a text is: `{ value }` or `{ problem }`. */
export function parseNumber(text, isWhole) {
  const plain = text.trim().replace(/^\+/, "");
  if (isWhole && !/^-?\d+$/.test(plain)) return { problem: "This must be a whole number, such as 12." };
  const value = Number(plain);
  if (plain === "" || !Number.isFinite(value)) return { problem: "This must be a number, such as 1.5." };
  if (isWhole && !Number.isSafeInteger(value)) return { problem: "This number is too large to be sent from a form." };
  return { value };
}
