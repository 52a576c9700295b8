/** Text of form controls and the values that it stands for: numbers and times. */

/** What a control holds: a value, a problem with its text, or neither, to leave the value out. */
export interface Reading {
  value?: unknown;
  problem?: string;
}

const two = (number: number): string => String(number).padStart(2, "0");

/** RFC 3339 as the text of a `datetime-local` control, in the viewer's zone. */
export function toLocal(text: string): string {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return "";
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** The text of a `datetime-local` control as RFC 3339, with the viewer's offset. */
export function fromLocal(text: string): string {
  const at = new Date(text);
  const offset = -at.getTimezoneOffset();
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.trunc(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${toLocal(text)}${zone}`;
}

/** The number that a text stands for. */
export function parseNumber(text: string, isInteger: boolean): Reading {
  const plain = text.trim().replace(/^\+/, "");
  if (isInteger && !/^-?\d+$/.test(plain)) return { problem: "Enter a whole number, such as 12." };
  const value = Number(plain);
  if (plain === "" || !Number.isFinite(value)) return { problem: "Enter a number, such as 1.5." };
  if (isInteger && !Number.isSafeInteger(value)) return { problem: "This number is too large for a form." };
  return { value };
}
