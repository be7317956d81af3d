import { type Logger, pino } from "pino";
import type { Secret } from "../domain/secret.ts";
import type { Log } from "../lib/log.ts";

const LABELS: Readonly<Record<number, string>> = { 20: "DEBUG", 30: "INFO", 40: "WARNING", 50: "ERROR" };

/** Takes the text of every secret out of whatever is about to be printed. */
export function redactor(secrets: readonly Secret[]): (text: string) => string {
  const texts = secrets.map((secret) => secret.reveal()).filter((text) => text.length >= 4);
  return (text) => texts.reduce((rest, secret) => rest.replaceAll(secret, "[hidden]"), text);
}

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

/** The log on stderr: one line each, for people. The logger itself is built when the first line is written. */
export function createLog({ level, redact, write }: LogOptions): Log {
  let logger: Logger | undefined;
  const open = () => {
    logger ??= pino({ level, base: null }, { write: (line: string) => write(redact(human(line))) });
    return logger;
  };
  return {
    debug: (text) => level === "debug" && open().debug(text),
    info: (text) => level !== "warn" && open().info(text),
    warn: (text) => open().warn(text),
  };
}
