import { describe, expect, it } from "vitest";
import { inZone, toZoned } from "../ui/zones";

const year = new Date().getUTCFullYear();

describe("times in a zone", () => {
  it("are short, and have seconds only if there are any", () => {
    expect(inZone(`${year}-01-07T07:30:00Z`, "Europe/Vienna")).toMatch(/^\w{3} 7 Jan 08:30$/);
    expect(inZone(`${year}-09-07T07:30:05Z`, "UTC")).toMatch(/^\w{3} 7 Sep 07:30:05$/);
  });

  it("have the year if it is another one", () => {
    expect(inZone("2020-01-07T07:30:00Z", "Asia/Tokyo")).toBe("Tue 7 Jan 2020 16:30");
  });

  it("become the text of a control", () => {
    expect(toZoned("2026-06-30T23:05:09.123456Z", "Europe/Vienna")).toBe("2026-07-01T01:05:09");
    expect(toZoned("2026-01-01T00:00:00Z", "America/New_York")).toBe("2025-12-31T19:00:00");
  });

  it("fall back to UTC where the browser does not know the zone", () => {
    expect(toZoned("2026-01-01T00:00:00Z", "Mars/Olympus")).toBe("2026-01-01T00:00:00");
  });
});
