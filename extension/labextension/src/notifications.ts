/** JupyterLab's notifications about the user's own runs: how they ended, and what they ask. */

import { Notification } from "@jupyterlab/apputils";
import type { TranslationBundle } from "@jupyterlab/translation";
import type { Story } from "../../frontend/app/run-news";
import type { Desk } from "./desk";
import type { Server } from "./server";
import type { Settings } from "./settings";

/** Stories within this time are one notification if there are many. */
const COLLECT_MS = 1_000;
const MAX_SINGLE = 3;
const CLOSE_MS = 10_000;

interface Tools {
  server: Server;
  settings: Settings;
  trans: TranslationBundle;
  desk: Desk;
}

/** Notify once the front end is loaded, also of what has happened since JupyterLab was opened. */
export function notifyOfRuns({ server, settings, trans, desk }: Tools): void {
  const opened = performance.timeOrigin;
  const stories: Story[] = [];
  const show = () => {
    const collected = stories.splice(0);
    if (collected.length > MAX_SINGLE) showMany(collected, trans, desk);
    else for (const story of collected) showOne(story, trans, desk);
  };
  server.onLoaded((frontEnd) =>
    frontEnd.followOwnRuns(server, opened, (story) => {
      const { notifications } = settings;
      const isProblem = story.status === null || story.status === "ENDED_ERROR";
      if (notifications === "none" || (notifications === "problems" && !isProblem)) return;
      if (stories.push(story) === 1) setTimeout(show, COLLECT_MS);
    }),
  );
}

function showOne({ title, body, status, view, id }: Story, trans: TranslationBundle, desk: Desk): void {
  const label = status === null ? trans.__("Answer") : trans.__("Show");
  const actions = [{ label, callback: () => desk.open({ view, id, query: {} }) }];
  const words = body && body !== title ? `${title}\n${body}` : title;
  const options = { autoClose: CLOSE_MS, actions };
  if (status === "ENDED_SUCCESS") Notification.success(words, options);
  else if (status === "ENDED_ERROR") Notification.error(words, options);
  else Notification.info(words, options);
}

function showMany(stories: readonly Story[], trans: TranslationBundle, desk: Desk): void {
  const failed = stories.filter(({ status }) => status === "ENDED_ERROR").length;
  const questions = stories.filter(({ status }) => status === null).length;
  const words = [
    trans._n("%1 run has ended", "%1 runs have ended", stories.length - questions, stories.length - questions),
    failed > 0 ? trans.__("%1 failed", failed) : "",
    questions > 0 ? trans._n("%1 question", "%1 questions", questions, questions) : "",
  ];
  const callback = () => desk.open({ view: "executions", query: {} });
  const emit = failed > 0 ? Notification.error : Notification.info;
  emit(words.filter(Boolean).join(", "), { autoClose: CLOSE_MS, actions: [{ label: trans.__("Show"), callback }] });
}
