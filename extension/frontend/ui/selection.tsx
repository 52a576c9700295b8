/** The selected rows of a table, and the controls that show and change them. */

import { signal, type ReadonlySignal, type Signal } from "@preact/signals";

/** The selected rows of a table, by key. */
export class Selection {
  readonly keys: Signal<ReadonlySet<string>> = signal(new Set<string>());
  /** Whether everything that matches the filter is selected, rows that are not loaded included. */
  readonly isAll = signal(false);
  private anchor: string | null = null;

  has(key: string): boolean {
    return this.isAll.value || this.keys.value.has(key);
  }

  clear(): void {
    this.isAll.value = false;
    this.keys.value = new Set();
  }

  /** Forget keys that do not exist any more. */
  retain(existing: ReadonlySet<string>): void {
    const kept = [...this.keys.peek()].filter((key) => existing.has(key));
    if (kept.length < this.keys.peek().size) this.keys.value = new Set(kept);
  }

  /** Select or deselect a key; with `isRange`, all of `keys` from the one chosen last. */
  choose(key: string, keys: readonly string[], isRange: boolean, isOn: boolean): void {
    const from = this.anchor === null ? -1 : keys.indexOf(this.anchor);
    const to = keys.indexOf(key);
    this.anchor = key;
    this.set(isRange && from >= 0 ? keys.slice(Math.min(from, to), Math.max(from, to) + 1) : [key], isOn);
  }

  set(keys: readonly string[], isOn: boolean): void {
    const changed = new Set(this.keys.peek());
    this.isAll.value = false;
    for (const key of keys) changed[isOn ? "add" : "delete"](key);
    this.keys.value = changed;
  }
}

/** The checkbox of the table's head. */
export function SelectAll({ selection, keys }: { selection: Selection; keys: readonly string[] }) {
  const chosen = keys.filter((key) => selection.has(key)).length;
  const isAll = chosen > 0 && chosen === keys.length;
  return (
    <input
      type="checkbox"
      aria-label="Select all"
      checked={isAll}
      indeterminate={chosen > 0 && !isAll}
      disabled={keys.length === 0}
      onClick={() => selection.set(keys, !isAll)}
    />
  );
}

/** "2 selected", with buttons that select everything that matches, and nothing. */
export function SelectedCount({
  selection,
  shown,
  total,
}: {
  selection: Selection;
  shown: ReadonlySignal<readonly string[]> | readonly string[];
  /** Number of matching rows, if more of them match than are shown, and actions can be applied to all of them. */
  total?: number | null;
}) {
  const selected = selection.keys.value;
  const isAll = selection.isAll.value;
  const keys = Array.isArray(shown) ? shown : (shown as ReadonlySignal<readonly string[]>).value;
  const hidden = selected.size - keys.filter((key: string) => selected.has(key)).length;
  return (
    <span class="cloudo-selected-count" aria-live="polite" hidden={selected.size === 0}>
      <span>
        {isAll ? `All ${total?.toLocaleString("en") ?? ""} matching selected` : `${selected.size} selected`}
        {!isAll && hidden > 0 && ` (${hidden} hidden by the filter)`}
      </span>
      {!isAll && total && total > keys.length && keys.every((key: string) => selected.has(key)) && (
        <button type="button" class="cloudo-link" onClick={() => (selection.isAll.value = true)}>
          Select all {total.toLocaleString("en")}
        </button>
      )}
      <button type="button" class="cloudo-link" onClick={() => selection.clear()}>
        Clear
      </button>
    </span>
  );
}
