/** Typed requests to REST, and their errors. */

import { signal } from "@preact/signals";
import type { Page } from "./types";
import type { Reply, Transport } from "./transport";

type Value = string | number | boolean | null | undefined;
export type Query = Record<string, Value | readonly string[]>;

/** One invalid field. */
export interface FieldError {
  field: string | null;
  message: string;
}

/** An error reply of REST, or no reply at all (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field: string | null = null,
    readonly errors: readonly FieldError[] = [],
  ) {
    super(message);
  }

  /** Whether another attempt may succeed without any change. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** The invalid fields that an error names, or the error itself. */
export function faultsOf(error: unknown): readonly FieldError[] {
  if (!(error instanceof ApiError)) return [{ field: null, message: String(error) }];
  return error.errors.length > 0 ? error.errors : [{ field: error.field, message: error.message }];
}

interface Options {
  query?: Query;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export class Api {
  /** Whether the last refused request was refused because the session has expired. */
  readonly isSignedOut = signal(false);
  /** Whether the last request got no answer. */
  readonly isAway = signal(false);

  /** `preloaded` holds replies that came with the page, by path. Each is used once. */
  constructor(
    readonly transport: Transport,
    private readonly preloaded: Map<string, unknown> = new Map(),
  ) {}

  get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
    const full = withQuery(path, query);
    if (this.preloaded.has(full)) {
      const body = this.preloaded.get(full) as T;
      this.preloaded.delete(full);
      return Promise.resolve(body);
    }
    return this.send<T>("GET", full, { signal });
  }

  /** Return the version of what is at an address, its ETag; null if it has none. */
  async version(path: string, query: Query): Promise<string | null> {
    return (await this.exchange("GET", withQuery(path, query), {})).headers.etag ?? null;
  }

  /** Return a reply that came with the page, without using it up: for the first paint. */
  peek<T>(path: string, query: Query = {}): T | null {
    return (this.preloaded.get(withQuery(path, query)) as T | undefined) ?? null;
  }

  /** Return the replies that came with the page and whose address begins so. */
  peekAll<T>(start: string): T[] {
    return [...this.preloaded].filter(([path]) => path.startsWith(start)).map(([, body]) => body as T);
  }

  post<T>(path: string, body?: unknown, options: Options = {}): Promise<T> {
    return this.send<T>("POST", withQuery(path, options.query ?? {}), { ...options, body });
  }

  put<T>(path: string, body: unknown, options: Options = {}): Promise<T> {
    return this.send<T>("PUT", path, { ...options, body });
  }

  patch<T>(path: string, body: unknown, options: Options = {}): Promise<T> {
    return this.send<T>("PATCH", path, { ...options, body });
  }

  delete(path: string): Promise<void> {
    return this.send<void>("DELETE", path, {});
  }

  /** Fetch every page of a list, at most `limit` items. */
  async all<T>(path: string, query: Query = {}, limit = 10_000): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | null = null;
    do {
      const page: Page<T> = await this.get<Page<T>>(path, { ...query, limit: 500, cursor });
      items.push(...page.items);
      cursor = page.next;
    } while (cursor !== null && items.length < limit);
    return items;
  }

  /** Look whether the server answers, and whether the session has expired: every user may ask who they are. */
  async checkSession(): Promise<boolean> {
    const reply = await this.transport.request({ method: "GET", path: "user/me" }).catch(() => null);
    this.isAway.value = reply === null || reply.status >= 500;
    if (reply) this.isSignedOut.value = isRefusal(reply);
    return this.isSignedOut.peek();
  }

  private async send<T>(method: string, path: string, options: Options): Promise<T> {
    return (await this.exchange(method, path, options)).body as T;
  }

  private async exchange(method: string, path: string, { body, headers, signal }: Options): Promise<Reply> {
    let reply: Reply;
    try {
      reply = await this.transport.request({ method, path, body, headers, signal });
    } catch (error) {
      if (signal?.aborted) throw error;
      this.isAway.value = true;
      throw new ApiError(0, "unreachable", "The server cannot be reached.");
    }
    if (reply.status < 500) this.isAway.value = false;
    if (isRefusal(reply) && (await this.checkSession())) {
      throw new ApiError(401, "signed_out", "Your session has expired. Log in again in another tab, then try again.");
    }
    if (reply.status >= 400) throw errorOf(reply);
    return reply;
  }
}

const isRefusal = ({ status }: Reply): boolean => status === 401 || status === 403;

/** Join path and query. Names in the path have to be encoded: see `segment` and `pathOf`. */
export function withQuery(path: string, query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) parameters.append(name, String(one));
  }
  return parameters.size > 0 ? `${path}?${parameters}` : path;
}

/** Encode one part of a path, such as the name of a webhook. */
export const segment = (name: string): string => encodeURIComponent(name);

/** Encode a name whose slashes stay slashes, such as the name of a flow. */
export const pathOf = (name: string): string => name.split("/").map(encodeURIComponent).join("/");

interface ErrorBody {
  error?: { code?: string; message?: string; field?: string | null; errors?: FieldError[] };
  message?: string;
}

function errorOf({ status, body }: Reply): ApiError {
  const { error, message } = (typeof body === "object" && body !== null ? body : {}) as ErrorBody;
  const told = error?.message ?? message ?? `The server answered ${status}.`;
  // Jupyter's words for a cookie against forged requests that is gone: '_xsrf' argument missing from POST
  const words = told.includes("'_xsrf'") ? "A cookie of this page has expired. Reload the page, then try again." : told;
  return new ApiError(status, error?.code ?? "error", words, error?.field ?? null, error?.errors ?? []);
}
