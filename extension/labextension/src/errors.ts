/** How errors are shown. */

import { Notification, showErrorMessage } from "@jupyterlab/apputils";

/** JupyterLab cuts longer notifications. */
const MAX_NOTIFICATION = 140;

/** Show an error as a notification, or as a dialog if it is long. */
export function showError(error: unknown): void {
  if (isCancelled(error)) return;
  const reason = reasonOf(error);
  if (reason.length > MAX_NOTIFICATION) void showErrorMessage("Cloudo", reason);
  else Notification.error(reason, { autoClose: false });
}

export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Whether the user has cancelled in a dialog of JupyterLab's. */
export const isCancelled = (error: unknown): boolean => error instanceof Error && error.name === "ModalCancelError";
