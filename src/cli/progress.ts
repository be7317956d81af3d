import { clockSeconds, humanBytes } from "../domain/human.ts";
import type { Terminal } from "./terminal.ts";

type Line = {
  readonly label: string;
  readonly bytes: number;
  readonly seconds: number;
  readonly expected: number | undefined;
};

/** One line of progress: what, how much, how fast, how long still. Pure. */
export function progressLine({ label, bytes, seconds, expected }: Line): string {
  const rate = seconds > 0 ? bytes / seconds : 0;
  const parts = [label, humanBytes(bytes), `${humanBytes(Math.round(rate))}/s`];
  if (expected === undefined || expected <= 0) return `${parts.join("  ")}  ${clockSeconds(seconds)}`;
  const share = Math.min(99, Math.floor((bytes / expected) * 100));
  const left = rate > 0 ? Math.max(0, expected - bytes) / rate : 0;
  return `${parts.join("  ")}  ${share} %  ETA ${clockSeconds(left)}`;
}

/** Draws how far something is, on a terminal only. */
export function progressOn(terminal: Terminal, label: string, expected: number | undefined): (bytes: number) => void {
  const started = Date.now();
  return (bytes) => terminal.draw(progressLine({ label, bytes, seconds: (Date.now() - started) / 1000, expected }));
}
