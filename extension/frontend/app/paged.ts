/** A list of which more pages are fetched when the reader asks for them. */

import { useRef } from "preact/hooks";
import type { Query } from "../api/client";
import type { News } from "../api/live";
import type { Page } from "../api/types";
import { useApp } from "./context";
import { useResource, type Resource } from "./resource";

/** Largest page of REST. */
const MAX_LIMIT = 500;

interface Options {
  concerns?: (news: News) => boolean;
  paceMs?: number;
  /** Items of each page. */
  size?: number;
}

export interface Paged<T> extends Resource<Page<T>> {
  /** Fetch one page more. */
  more: () => void;
}

/** Fetch the newest items of a list, again after changes. `value.next` is null once all are there. */
export function usePaged<T>(path: string, query: Query, options: Options = {}): Paged<T> {
  const { api } = useApp();
  const { size = 50, ...rest } = options;
  const key = `${path} ${JSON.stringify(query)} ${size}`;
  const pages = useRef({ key, count: 1 });
  if (pages.current.key !== key) pages.current = { key, count: 1 };
  const fetch = async (signal: AbortSignal): Promise<Page<T>> => {
    const wanted = pages.current.count * size;
    const items: T[] = [];
    let cursor: string | null = null;
    do {
      const limit = Math.min(MAX_LIMIT, wanted - items.length);
      const page: Page<T> = await api.get<Page<T>>(path, { ...query, limit, cursor }, signal);
      items.push(...page.items);
      cursor = page.next;
    } while (cursor !== null && items.length < wanted);
    return { items, next: cursor };
  };
  const resource = useResource<Page<T>>(key, fetch, rest);
  const more = () => {
    pages.current.count += 1;
    resource.refresh();
  };
  return { ...resource, more };
}
