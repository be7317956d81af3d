import { humanBytes } from "../domain/human.ts";
import type { RestorePlan, Space } from "../domain/restore-plan.ts";
import type { Outlook } from "../job/dry-run.ts";
import { spaceWarnings } from "../job/space.ts";
import { explain } from "./explain.ts";
import { tableOf } from "./table.ts";

type Planned = { readonly plan: RestorePlan; readonly outlook: Outlook; readonly target: string };

function bytesText(bytes: number | undefined): string {
  return bytes === undefined ? "?" : humanBytes(bytes);
}

function spaceText(space: Space | undefined): string {
  if (space === undefined) return "unknown";
  return space.isEstimate ? `about ${humanBytes(space.bytes)} (an estimate)` : humanBytes(space.bytes);
}

/** What a restore would do, for people. */
export function planLines({ plan, outlook, target }: Planned): string[] {
  const rows = plan.parts.map(({ copy, bytes }, index) => ({ copy, bytes, tooling: outlook.tooling[index] }));
  return [
    ...tableOf(
      [
        { title: "STEP", value: ({ copy }) => (copy.kind === "full" ? "full copy" : "increment") },
        { title: "SIZE", value: ({ bytes }) => bytesText(bytes), align: "right" },
        { title: "WITH", value: ({ tooling }) => tooling?.found.join(", ") ?? "" },
        { title: "COPY", value: ({ copy }) => copy.key },
      ],
      rows,
    ),
    `to fetch: ${bytesText(plan.fetchBytes)}`,
    `space needed: ${spaceText(plan.space)}, free at ${target}: ${bytesText(outlook.freeBytes)}`,
    ...[...plan.warnings, ...spaceWarnings(plan, outlook.freeBytes)].map((warning) => `mind: ${warning}`),
    ...outlook.problems.map((problem) => `in the way: ${explain(problem)}`),
  ];
}

/** What a restore would do, as `--json` prints it. Field names are stable. */
export function planJson({ plan, outlook, target }: Planned): Record<string, unknown> {
  return {
    backup_copy: plan.copy.key,
    dry_run: true,
    fetch_bytes: plan.fetchBytes ?? null,
    free_bytes: outlook.freeBytes ?? null,
    parts: plan.parts.map(({ copy, bytes }, index) => ({
      bytes: bytes ?? null,
      key: copy.key,
      missing: outlook.tooling[index]?.missing.map(explain) ?? [],
      sha256: copy.sha256 ?? null,
      tools: outlook.tooling[index]?.found ?? [],
      type: copy.kind,
    })),
    possible: outlook.problems.length === 0,
    problems: outlook.problems.map(explain),
    space_bytes: plan.space?.bytes ?? null,
    space_is_estimate: plan.space?.isEstimate ?? null,
    target,
    warnings: [...plan.warnings, ...spaceWarnings(plan, outlook.freeBytes)],
  };
}
