import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Secret } from "../../../src/domain/secret.ts";
import { webhookBody, webhookExporter } from "../../../src/export/webhook.ts";
import { at } from "../../support/copies.ts";
import { failedReport, runReport } from "../../support/reports.ts";
import { WebhookServer } from "../../support/webhook.ts";

const { signal } = new AbortController();
const TOKEN = "T0KEN/very-secret";

let hook: WebhookServer;
let url: string;

beforeEach(async () => {
  hook = await WebhookServer.start();
  url = `http://127.0.0.1:${hook.port}/services/${TOKEN}?key=${TOKEN}`;
});
afterEach(() => hook[Symbol.asyncDispose]());

function exporter(on: "failure" | "success" | "always" = "always") {
  return webhookExporter({ url: new Secret(url), on });
}

describe("webhookExporter()", () => {
  test("posts what a run came to", async () => {
    await exporter().send(failedReport(), { signal });
    expect(hook.posted).toEqual([
      { path: `/services/${TOKEN}?key=${TOKEN}`, type: "application/json", body: webhookBody(failedReport()) },
    ]);
    expect(hook.posted[0]?.body).toEqual({
      text: 'twindb-backup: daily backup of db7 failed: mysql: Cannot reach "db7": the server refuses the login',
      tool: "twindb-backup",
      version: "4.0.0",
      host: "db7",
      command: "backup",
      run_type: "daily",
      ok: false,
      exit_status: 69,
      started_at: at(5).toISOString(),
      finished_at: at(5, 3).toISOString(),
      seconds: 10_800,
      parts: [
        { part: "files", ok: true, seconds: 12, failures: [] },
        {
          part: "mysql",
          ok: false,
          seconds: 0.5,
          failures: [
            {
              code: "UNREACHABLE",
              message: 'Cannot reach "db7": the server refuses the login',
              hint: "Look at the login.",
            },
          ],
        },
      ],
    });
  });

  test.each([
    ["always", 2],
    ["failure", 1],
    ["success", 1],
  ] as const)("posts on %s", async (on, count) => {
    await exporter(on).send(runReport(), { signal });
    await exporter(on).send(failedReport(), { signal });
    expect(hook.posted).toHaveLength(count);
    if (count === 1) expect(hook.posted[0]?.body["ok"]).toBe(on === "success");
  });

  test("is not told of restores", async () => {
    await exporter().send(runReport({ command: "restore" }), { signal });
    expect(hook.posted).toEqual([]);
  });

  async function failure(): Promise<string> {
    const error = await exporter()
      .send(runReport(), { signal: AbortSignal.timeout(300) })
      .catch((reason: unknown) => reason);
    expect(JSON.stringify([error, String(error), (error as Error).stack])).not.toContain("T0KEN");
    return (error as Error).message;
  }

  test("names only the host when the receiver refuses, redirects, is silent or is not there", async () => {
    const host = `127.0.0.1:${hook.port}`;
    hook.answer = { status: 500 };
    expect(await failure()).toBe(`Cannot tell the webhook at "${host}" of this run: it answered with status 500`);
    hook.answer = { status: 302, location: `http://${host}/elsewhere` };
    expect(await failure()).toBe(`Cannot tell the webhook at "${host}" of this run: it answered with status 302`);
    hook.answer = undefined;
    expect(await failure()).toBe(`Cannot tell the webhook at "${host}" of this run: it gave no answer in time`);
    await hook[Symbol.asyncDispose]();
    expect(await failure()).toBe(`Cannot tell the webhook at "${host}" of this run: nothing listens there`);
    expect(hook.posted).toHaveLength(3);
  });

  test("says that a host has no address", async () => {
    url = `https://hooks.invalid/${TOKEN}`;
    expect(await failure()).toMatch(
      /^Cannot tell the webhook at "hooks.invalid" of this run: it has no address|in time/,
    );
  });
});
