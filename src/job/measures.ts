import { readFile, rename, writeFile } from "node:fs/promises";

/** Most entries the predecessor's log ever holds. */
const LIMIT = 100;

type Measure = { readonly start: number; readonly finish: number; readonly duration: number };

async function readMeasures(path: string): Promise<Measure[]> {
  try {
    const parsed = JSON.parse(await readFile(path, "utf8")) as { measures?: unknown };
    return Array.isArray(parsed.measures) ? (parsed.measures as Measure[]) : [];
  } catch {
    // Missing or unreadable: it is only a log of times, and starts afresh as the predecessor's does.
    return [];
  }
}

/**
 * Append one run to the log of measures: `{"measures": [{"start", "finish", "duration"}, …]}` in epoch seconds, the oldest
 * of more than 100 dropped.
 */
export async function recordMeasure(path: string, start: Date, finish: Date): Promise<void> {
  const [from, to] = [start.getTime() / 1000, finish.getTime() / 1000];
  const measures = [...(await readMeasures(path)), { start: from, finish: to, duration: to - from }].slice(-LIMIT);
  const temporary = `${path}.new`;
  await writeFile(temporary, `${JSON.stringify({ measures })}\n`, { mode: 0o600 });
  await rename(temporary, path);
}
