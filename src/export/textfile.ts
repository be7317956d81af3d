import { randomBytes } from "node:crypto";
import { chmod, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { acquireLock } from "../lib/lock.ts";
import { meaningOf } from "../lib/system-error.ts";
import type { Exporter } from "./exporter.ts";
import { formatExposition, parseExposition } from "./exposition.ts";
import { mergeSeries, PROMETHEUS_METRICS, prometheusSeries } from "./prometheus-series.ts";

/** Two runs that end at the same moment must not undo what the other wrote; each takes no time. */
const WAIT_SECONDS = 2;

/** Writes measures for the textfile collector of Prometheus' node_exporter: replaced in one piece, readable by all. */
export function textfileExporter(path: string): Exporter {
  return {
    wantsStanding: true,
    async send(report, { signal }) {
      try {
        await stat(dirname(path));
        // The collector reads what ends in .prom only.
        const lock = { waitSeconds: WAIT_SECONDS, signal, onLost: () => {} };
        await using _lock = await acquireLock(`${path}.lock`, lock);
        const series = mergeSeries(parseExposition(await textOf(path)), prometheusSeries(report));
        await replace(path, formatExposition(series, PROMETHEUS_METRICS));
      } catch (cause) {
        throw unwritable(path, cause);
      }
    },
  };
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}

async function replace(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString("hex")}`;
  try {
    await writeFile(temporary, text, { flag: "wx", mode: 0o644 });
    // The umask of a run takes everybody's rights away.
    await chmod(temporary, 0o644);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

function unwritable(path: string, cause: unknown): BackupError {
  const { code, what } = meaningOf(cause);
  return new BackupError(code, `Cannot write "${path}" for Prometheus: ${what}`, {
    hint: `Make "${dirname(path)}" a directory that this user may write to, or set textfile under [export].`,
    cause,
  });
}
