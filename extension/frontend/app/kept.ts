/** Choices of a reader that this browser keeps, such as which folders are closed. */

import { signal, type Signal } from "@preact/signals";

/** A set of names. It keeps those that were added last. */
export class KeptSet {
  readonly names: Signal<ReadonlySet<string>>;

  constructor(
    private readonly key: string,
    private readonly limit: number,
  ) {
    this.names = signal(new Set(read(key)));
  }

  has(name: string): boolean {
    return this.names.peek().has(name);
  }

  add(name: string): void {
    this.keep([...this.without(name), name].slice(-this.limit));
  }

  remove(name: string): void {
    if (this.names.peek().has(name)) this.keep(this.without(name));
  }

  private without(name: string): string[] {
    return [...this.names.peek()].filter((one) => one !== name);
  }

  private keep(names: readonly string[]): void {
    this.names.value = new Set(names);
    try {
      localStorage.setItem(this.key, JSON.stringify(names));
    } catch {
      // without storage, the choice lasts as long as the page
    }
  }
}

function read(key: string): string[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(found) ? found.filter((one) => typeof one === "string") : [];
  } catch {
    return []; // as above, or another program has the key
  }
}
