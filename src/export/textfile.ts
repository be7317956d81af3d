import { randomBytes } from "node:crypto";
import { chmod, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { BackupError } from "../domain/errors.ts";
import { meaningOf } from "../lib/system-error.ts";
import type { Exporter } from "./exporter.ts";
import { formatExposition, parseExposition } from "./exposition.ts";
import { mergeSeries, PROMETHEUS_METRICS, prometheusSeries } from "./prometheus-series.ts";

/** Two runs that end at the same moment must not undo what the other wrote. */
const TRIES = 5;

/** Writes measures for the textfile collector of Prometheus' node_exporter: replaced in one piece, readable by all. */
export function textfileExporter(path: string): Exporter {
  return {
    wantsStanding: true,
    async send(report, { signal }) {
      const series = prometheusSeries(report);
      try {
        for (let attempt = 1; ; attempt++) {
          signal.throwIfAborted();
          const before = await textOf(path);
          const text = formatExposition(mergeSeries(parseExposition(before), series), PROMETHEUS_METRICS);
          if (await replace(path, { before, text, isLast: attempt === TRIES })) return;
        }
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

type Change = { readonly before: string; readonly text: string; readonly isLast: boolean };

/** @returns whether it was done: not when the file is no more what it was. */
async function replace(path: string, { before, text, isLast }: Change): Promise<boolean> {
  // The collector reads what ends in .prom only.
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString("hex")}`;
  try {
    await writeFile(temporary, text, { flag: "wx", mode: 0o644 });
    // The umask of a run takes everybody's rights away.
    await chmod(temporary, 0o644);
    if (!isLast && (await textOf(path)) !== before) return false;
    await rename(temporary, path);
    return true;
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
