import type { CheckOptions } from "./commands/check.ts";
import type { Add } from "./program.ts";

/** What those who watch over backups ask for. */
export const addMonitoring: Add = (program, start) => {
  program
    .command("check")
    .description("look whether the next backup and the next restore would work")
    .option("--json", "print JSON, whose form is stable")
    .option("--nagios", "print one line and exit 0 to 3, as plugins of Nagios do; also looks at the age of copies")
    .option("--warning <age>", "with --nagios: such as 36h, or mysql=2h,files=36h (default: by run types)", collect)
    .option("--critical <age>", "the same", collect)
    .action((options: CheckOptions) => {
      start(async (invocation) => (await import("./commands/check.ts")).check(options, invocation));
    });
  program
    .command("report")
    .description("write what status --host shows, with charts, as one HTML page that needs nothing else")
    .requiredOption("--html <file>", "where to; - is stdout")
    .option("--host <host>", "one host, or all", "all")
    .action((options: { html: string; host: string }) => {
      start(async (invocation) => (await import("./commands/report.ts")).report(options, invocation));
    });
};

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
