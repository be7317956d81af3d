import { type Add, collect, host, jsonOption } from "./command-line.ts";
import type { CheckOptions } from "./commands/check.ts";

/** What those who watch over backups ask for. */
export const addMonitoring: Add = (program, start) => {
  program
    .command("check")
    .description("look whether the next backup and the next restore would work")
    .option(
      "--destination",
      "try the destination only, and all that copies need of it, by objects that are removed again",
    )
    .option("--nagios", "print one line and exit 0 to 3, as plugins of Nagios do; also looks at the age of copies")
    .option("--warning <age>", "with --nagios: such as 36h, or mysql=2h,files=36h (default: by run types)", collect)
    .option("--critical <age>", "the same", collect)
    .addOption(jsonOption())
    .action(({ destination, ...options }: CheckOptions & { readonly destination?: true }) => {
      start(async (invocation) =>
        destination === true
          ? (await import("./commands/check-destination.ts")).checkDestination(options, invocation)
          : (await import("./commands/check.ts")).check(options, invocation),
      );
    });
  program
    .command("report")
    .description("write what status --host shows, with charts, as one HTML page that needs nothing else")
    .requiredOption("--html <file>", "where to; - is stdout")
    .option("--host <host>", "one host, or all", host, "all")
    .action((options: { html: string; host: string }) => {
      start(async (invocation) => (await import("./commands/report.ts")).report(options, invocation));
    });
};
