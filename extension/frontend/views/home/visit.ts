/**
 * When the user was last here, in a setting of their own, so that it is the same in all tabs and on all machines.
 *
 * A visit lasts while the home page is shown again within half an hour: a reload, or a look at one of the failures, does
 * not end it.
 */

import { useEffect, useRef, useState } from "preact/hooks";
import { segment } from "../../api/client";
import type { Setting } from "../../api/types";
import { useApp } from "../../app/context";
import { now } from "../../ui/words";

const VISIT_MS = 30 * 60_000;
/** A visit is noted again after this time. */
const NOTE_MS = 60_000;

interface Visit {
  /** When the home page was last shown. */
  seen: string;
  /** The end of the visit before; failures after it are new. Empty during the first visit. */
  before: string;
}

export interface LastVisit {
  /** Whether it has been looked up. */
  isKnown: boolean;
  /** Null on the first visit. */
  before: string | null;
  /** Count everything until now as seen. */
  markSeen: () => void;
}

/** Return the visit that begins or goes on at `time`. */
export function visitAt(last: Visit | null, time: number): Visit {
  const seen = new Date(time).toISOString();
  if (!last || Number.isNaN(Date.parse(last.seen))) return { seen, before: "" };
  return { seen, before: time - Date.parse(last.seen) > VISIT_MS ? last.seen : last.before };
}

export function useLastVisit(): LastVisit {
  const { api } = useApp();
  const [before, setBefore] = useState<string | null | undefined>(undefined);
  const kept = useRef<{ path: string; visit: Visit; notedAt: number } | null>(null);
  const note = (visit: Visit) => {
    if (!kept.current) return;
    kept.current = { ...kept.current, visit, notedAt: now() };
    void api.put(kept.current.path, { value: visit }).catch(() => {}); // it is noted the next time
  };
  useEffect(() => {
    const start = async () => {
      const { name } = await api.get<{ name: string }>("user/me");
      const path = `setting/${segment(`user.${name}.dashboard.last_visit`)}`;
      const last = (await api.get<Setting>(path)).value as Visit | null;
      const visit = visitAt(last, now());
      kept.current = { path, visit, notedAt: 0 };
      setBefore(visit.before || null);
      note(visit);
    };
    start().catch(() => setBefore(null)); // the failures of the last day, then
    const leave = () => {
      const { current } = kept;
      if (current && now() - current.notedAt > NOTE_MS) note(visitAt(current.visit, now()));
    };
    document.addEventListener("visibilitychange", leave);
    return () => {
      document.removeEventListener("visibilitychange", leave);
      leave();
    };
  }, [api]);
  const markSeen = () => {
    const seen = new Date(now()).toISOString();
    setBefore(seen);
    note({ seen, before: seen });
  };
  return { isKnown: before !== undefined, before: before ?? null, markSeen };
}
