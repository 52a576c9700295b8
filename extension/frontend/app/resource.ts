/** Fetches what a view shows, and fetches it again when it may have changed. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/client";
import type { Follower, News } from "../api/live";
import { Pace } from "../api/pace";
import { reasonOf } from "../ui/words";
import { useApp } from "./context";

/** Interval between two fetches of one resource while it keeps changing. */
const REFRESH_MS = 250;

export interface Resource<T> {
  /** Null until the first reply. */
  value: T | null;
  /** The error of the last fetch, null if it worked. */
  error: ApiError | null;
  /** Fetch again, soon. */
  refresh: () => void;
  /** Replace the value, for a change that a reply has already told. */
  set: (change: (value: T) => T) => void;
}

interface Options {
  /** Whether a change on the server may concern it. */
  concerns?: (news: News) => boolean;
  /** Also fetch again at this interval while the page is visible. */
  everyMs?: number;
  /** Whether the value is still current: asked before such a fetch, which then is left out. */
  isCurrent?: () => Promise<boolean>;
  /** Milliseconds between two fetches while it keeps changing. */
  paceMs?: number;
}

/**
 * Fetch by `fetch`, again whenever `key` changes, and again after changes on the server that concern it.
 * The last value stays while the next one is fetched, unless `key` has changed. `fetch` may `show` a first part early.
 */
export function useResource<T>(
  key: string,
  fetch: (signal: AbortSignal, show: (value: T) => void) => Promise<T>,
  options: Options = {},
): Resource<T> {
  const { live } = useApp();
  const [state, setState] = useState<{ key: string; value: T | null; error: ApiError | null }>({
    key,
    value: null,
    error: null,
  });
  const latest = useRef({ fetch, options });
  latest.current = { fetch, options };

  const controls = useMemo(() => {
    let aborter = new AbortController();
    let isClosed = false;
    const pace = new Pace(async () => {
      aborter = new AbortController();
      const { signal } = aborter;
      try {
        const show = (value: T) => void (isClosed || setState({ key, value, error: null }));
        show(await latest.current.fetch(signal, show));
      } catch (error) {
        if (isClosed || signal.aborted) return;
        const known = error instanceof ApiError ? error : new ApiError(0, "error", reasonOf(error));
        setState((old) => ({ key, value: old.key === key ? old.value : null, error: known }));
      }
    }, options.paceMs ?? REFRESH_MS);
    const close = () => {
      isClosed = true;
      pace.stop();
      aborter.abort();
    };
    return { pace, close };
  }, [key]);

  useEffect(() => {
    const { pace, close } = controls;
    pace.want();
    const follower: Follower = {
      news: (news) => {
        if (latest.current.options.concerns?.(news)) pace.want();
      },
      resync: () => pace.want(),
    };
    const unfollow = live.follow(follower);
    const wake = async () => {
      if (document.hidden || (await latest.current.options.isCurrent?.().catch(() => false))) return;
      pace.want();
    };
    const look = () => void wake();
    document.addEventListener("visibilitychange", look);
    const timer = options.everyMs && setInterval(look, options.everyMs);
    return () => {
      close();
      unfollow();
      document.removeEventListener("visibilitychange", look);
      if (timer) clearInterval(timer);
    };
  }, [controls]);

  const isCurrent = state.key === key;
  return {
    value: isCurrent ? state.value : null,
    error: isCurrent ? state.error : null,
    refresh: () => controls.pace.want(),
    set: (change) => setState((old) => (old.value === null ? old : { ...old, value: change(old.value) })),
  };
}
