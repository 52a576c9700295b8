/** Ids of elements. */

import { useMemo } from "preact/hooks";

// Several widgets of a notebook each load this code, and Preact counts from zero in each of them.
const prefix = `cloudo-${Math.random().toString(36).slice(2, 8)}`;
let last = 0;

/** An id that no other element of the document has. */
export const useId = (): string => useMemo(() => `${prefix}-${++last}`, []);
