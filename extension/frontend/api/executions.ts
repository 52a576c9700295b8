/** Requests about executions that several views make. */

import type { Api } from "./client";
import type { Execution, Page } from "./types";

/** Maximum number of ids in one request. */
const MAX_IDS = 500;

/** Fetch executions by their ids. Missing ones are left out. */
export async function fetchExecutions(api: Api, ids: readonly string[]): Promise<Execution[]> {
  if (ids.length === 0) return [];
  const page = await api.get<Page<Execution>>("execution", { ids: ids.slice(0, MAX_IDS), limit: MAX_IDS });
  return page.items;
}
