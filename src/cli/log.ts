import { pino } from "pino";
import type { Log } from "../lib/log.ts";

const LABELS: Readonly<Record<number, string>> = { 20: "DEBUG", 30: "INFO", 40: "WARNING", 50: "ERROR" };

function human(line: string): string {
  const { level, time, msg } = JSON.parse(line) as { level: number; time: number; msg: string };
  const at = new Date(time);
  const local = new Date(time - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace("T", " ");
  return `${local} ${LABELS[level] ?? level}: ${msg}\n`;
}

type LogOptions = {
  readonly level: "debug" | "info" | "warn";
  readonly redact: (text: string) => string;
  readonly write: (text: string) => void;
};

/** The log on stderr: one line each, for people. */
export function createLog({ level, redact, write }: LogOptions): Log {
  const logger = pino({ level, base: null }, { write: (line: string) => write(redact(human(line))) });
  return {
    debug: (text) => logger.debug(text),
    info: (text) => logger.info(text),
    warn: (text) => logger.warn(text),
  };
}
