import type { Finding } from "../job/check.ts";
import { tableOf } from "./table.ts";

/** A finding as `--json` prints it. Field names are stable. */
export function jsonOf({ name, result, detail }: Finding): Record<string, string> {
  return { name, result, detail };
}

/** What was found, as a table for people. */
export function findingTable(findings: readonly Finding[]): string[] {
  return tableOf(
    [
      { title: "CHECK", value: ({ name }: Finding) => name },
      { title: "RESULT", value: ({ result }) => result },
      { title: "FOUND", value: ({ detail }) => detail },
    ],
    findings,
  );
}
