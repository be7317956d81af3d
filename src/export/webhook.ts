import { type RequestOptions, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { LookupFunction } from "node:net";
import { BackupError } from "../domain/errors.ts";
import { type RunReport, succeeded, summaryOf } from "../domain/run-report.ts";
import { type Address, addressOf } from "./address.ts";
import type { Exporter } from "./exporter.ts";
import type { WebhookOptions } from "./options.ts";
import { reasonOf } from "./reason.ts";

/** POSTs what a run came to as JSON. Of the URL only the host is ever named: the rest may hold a token. */
export function webhookExporter({ url: secret, on }: WebhookOptions): Exporter {
  return {
    wantsStanding: false,
    async send(report, { signal }) {
      if (report.command === "restore") return;
      if (on !== "always" && (on === "success") !== succeeded(report)) return;
      const url = new URL(secret.reveal());
      try {
        const address = await addressOf(url.hostname, { signal });
        const status = await post(url, { body: JSON.stringify(webhookBody(report)), address, signal });
        if (status < 200 || status > 299) throw new Error(`it answered with status ${status}`);
      } catch (error) {
        throw unreachable(url, signal.aborted ? "it gave no answer in time" : reasonOf(error));
      }
    },
  };
}

/** What is sent. Field names are stable; `text` is what chat services show. */
export function webhookBody(report: RunReport): Record<string, unknown> {
  const { host, version, command, runType, startedAt, finishedAt, exitStatus, parts } = report;
  return {
    text: `twindb-backup: ${summaryOf(report)}`,
    tool: "twindb-backup",
    version,
    host,
    command,
    run_type: runType ?? null,
    ok: succeeded(report),
    exit_status: exitStatus,
    started_at: startedAt.toISOString(),
    finished_at: finishedAt.toISOString(),
    seconds: (finishedAt.getTime() - startedAt.getTime()) / 1000,
    parts: parts.map(({ part, seconds, failures }) => ({
      part,
      ok: failures.length === 0,
      seconds: Number(seconds.toFixed(3)),
      failures: failures.map(({ code, message, hint }) => ({ code: code ?? null, message, hint: hint ?? null })),
    })),
  };
}

type Posting = { readonly body: string; readonly address: Address; readonly signal: AbortSignal };

/** @returns the status of the answer. A redirect is not followed: it could lead the token anywhere. */
function post(url: URL, { body, address, signal }: Posting): Promise<number> {
  const options: RequestOptions = {
    method: "POST",
    headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
    lookup: lookupOf(address),
    agent: false,
    signal,
  };
  return new Promise((resolve, reject) => {
    const request = url.protocol === "https:" ? requestHttps : requestHttp;
    const call = request(url, options, (response) => {
      response.on("error", reject);
      resolve(response.statusCode ?? 0);
      // What it says is nobody's business here.
      response.destroy();
    });
    call.on("error", reject);
    call.end(body);
  });
}

function lookupOf({ address, family }: Address): LookupFunction {
  return (_host, { all }, done) => {
    if (all === true) done(null, [{ address, family }]);
    else done(null, address, family);
  };
}

function unreachable({ host }: URL, what: string): BackupError {
  return new BackupError("UNREACHABLE", `Cannot tell the webhook at "${host}" of this run: ${what}`, {
    hint: "Look at webhook_url under [export].",
  });
}
