import { expect, test } from "vitest";
import { Api, ApiError, pathOf, withQuery } from "../api/client";
import type { Reply, Transport } from "../api/transport";

const answering = (reply: Partial<Reply> | Error): Transport => ({
  baseUrl: null,
  listen: () => () => {},
  request: async () => {
    if (reply instanceof Error) throw reply;
    return { status: 200, headers: {}, body: null, ...reply };
  },
});

test("queries repeat lists and leave out empty values", () => {
  expect(withQuery("execution", { ids: ["a", "b"], q: "", cursor: null, limit: 0 })).toBe(
    "execution?ids=a&ids=b&limit=0",
  );
  expect(pathOf("a b/c?")).toBe("a%20b/c%3F");
});

test("a preloaded reply is used once", async () => {
  const api = new Api(answering({ body: "new" }), new Map([["user/me", "old"]]));
  expect([await api.get("user/me"), await api.get("user/me")]).toEqual(["old", "new"]);
});

test("errors of the server keep their fields", async () => {
  const error = {
    code: "inputs_invalid",
    message: "n: too big",
    field: "n",
    errors: [{ field: "n", message: "too big" }],
  };
  const failed = await new Api(answering({ status: 422, body: { error } }))
    .get("flow")
    .catch((reason: unknown) => reason);
  expect(failed).toBeInstanceOf(ApiError);
  expect(failed).toMatchObject({ status: 422, code: "inputs_invalid", field: "n", isPassing: false });
});

test("a proxy's error page and a lost server are errors, too", async () => {
  const gateway = await new Api(answering({ status: 502, body: "<html>" }))
    .get("flow")
    .catch((reason: unknown) => reason);
  expect(gateway).toMatchObject({ status: 502, isPassing: true, message: "The server answered 502." });
  const lost = await new Api(answering(new TypeError("fetch failed"))).get("flow").catch((reason: unknown) => reason);
  expect(lost).toMatchObject({ status: 0, code: "unreachable" });
});

test("a lost cookie is told with the cure", async () => {
  const refused = { status: 403, headers: {}, body: { message: "'_xsrf' argument missing from POST" } };
  const me = { status: 200, headers: {}, body: null };
  const transport = answering({});
  transport.request = async ({ path }) => (path === "user/me" ? me : refused);
  const error = await new Api(transport).post("flow").catch((reason: unknown) => reason);
  expect(error).toMatchObject({ status: 403, message: expect.stringContaining("Reload the page") as string });
});

test("an expired session is told apart from a missing permission", async () => {
  const asked: string[] = [];
  const api = (statusOfMe: number) =>
    new Api({
      baseUrl: null,
      listen: () => () => {},
      request: async ({ path }) => {
        asked.push(path);
        const error = { code: "permission_denied", message: "Log in, or send the server's token." };
        return { status: path === "user/me" ? statusOfMe : 403, headers: {}, body: { error } };
      },
    });
  const expired = api(403);
  const error = await expired.post("execution", {}).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ status: 401, code: "signed_out" });
  expect(expired.isSignedOut.value).toBe(true);
  const known = api(200);
  const denied = await known.post("execution", {}).catch((reason: unknown) => reason);
  expect(denied).toMatchObject({ status: 403, code: "permission_denied" });
  expect(known.isSignedOut.value).toBe(false);
  expect(asked).toEqual(["execution", "user/me", "execution", "user/me"]);
});
