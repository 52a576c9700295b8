/** Whether the object of a view was deleted while it is open. Its events say so: no request has to fail first. */

import { useEffect, useState } from "preact/hooks";
import { useApp } from "./context";

/** Follow one object. `event` is the type of its last event, such as `ScheduleDeleted`. */
export function useGone(subjectType: string, id: string, event: string): boolean {
  const { live } = useApp();
  const [gone, setGone] = useState("");
  useEffect(
    () => live.follow({ news: (news) => void (news.tells(subjectType, id, event) && setGone(id)) }),
    [live, subjectType, id, event],
  );
  return gone === id && id !== "";
}
