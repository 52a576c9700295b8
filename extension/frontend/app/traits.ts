/** The traits of a widget: values that its Python object and its views both read and change. */

import { effect } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import type { Selection } from "../ui/selection";
import { useApp } from "./context";
import type { MemoryPlace } from "./place";

export interface Traits {
  /** The value, undefined if the widget has no such trait. */
  get<T>(name: string): T | undefined;
  /** Change traits together. */
  set(values: Readonly<Record<string, unknown>>): void;
  /** Call `listener` after a change from either side. Returns the function that ends it. */
  follow(name: string, listener: () => void): () => void;
}

const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

/** The current value of a trait. */
export function useTrait<T>(name: string, usual: T): T {
  const { traits } = useApp();
  const read = () => traits?.get<T>(name) ?? usual;
  const [value, setValue] = useState(read);
  useEffect(() => traits?.follow(name, () => setValue(read())), [traits, name]);
  return value;
}

/** Keep the selection of a list and the trait `selected` alike, if the widget has it. */
export function useSelectedTrait({ keys }: Selection): void {
  const { traits } = useApp();
  useEffect(() => {
    if (!traits?.get("selected")) return undefined;
    const take = () => {
      const names = traits.get<string[]>("selected") ?? [];
      if (!isSame([...names].sort(), [...keys.peek()].sort())) keys.value = new Set(names);
    };
    take();
    const unfollow = traits.follow("selected", take);
    const stop = effect(() => {
      const names = [...keys.value].sort();
      if (!isSame(names, [...(traits.get<string[]>("selected") ?? [])].sort())) traits.set({ selected: names });
    });
    return () => {
      unfollow();
      stop();
    };
  }, [traits]);
}

/** Traits that name the one object of a view. */
const ITEMS: Record<string, string> = { execution: "execution_id", play: "flow", form: "flow", plan: "flow" };

/** Keep the place of a widget and its traits alike: the object that it shows, or the filters of its list. */
export function followTraits(traits: Traits, place: MemoryPlace): () => void {
  const { view } = place.route.peek();
  const item = ITEMS[view];
  const read = () => ({
    view,
    id: item && traits.get<string>(item),
    query: { ...(traits.get<Record<string, string>>("filters") ?? {}) },
  });
  const take = () => {
    if (!isSame(read(), place.route.peek())) place.reset(read());
  };
  take();
  const ends = [item, "filters"].flatMap((name) => (name ? [traits.follow(name, take)] : []));
  if (traits.get("filters")) {
    ends.push(
      effect(() => {
        const { view: now, query } = place.route.value;
        const filters = Object.fromEntries(Object.entries(query).filter(([name, text]) => text && name !== "sort"));
        if (now === view && !isSame(filters, traits.get("filters"))) traits.set({ filters });
      }),
    );
  }
  return () => ends.forEach((end) => end());
}
