import type { Add } from "./command-line.ts";
import type { PurgeOptions } from "./commands/binlog-purge.ts";
import type { MarkOptions } from "./commands/mark.ts";
import type { PauseOptions } from "./commands/pause.ts";
import type { PreserveOptions } from "./commands/preserve.ts";

/** What a person tells the program about copies and runs. */
export const addOperations: Add = (program, start) => {
  program
    .command("preserve")
    .description("have retention leave a copy alone, with all that it needs")
    .argument("<copy>", "what ls printed")
    .option("--until <date>", "RFC 3339, or a day (to its end, local time), or how long, such as 90d")
    .option("--forever", "until it is taken back")
    .option("--clear", "take it back")
    .action((copy: string, options: Omit<PreserveOptions, "copy">) => {
      start(async (invocation) => (await import("./commands/preserve.ts")).preserve({ ...options, copy }, invocation));
    });
  program
    .command("mark")
    .description("record that a copy is broken, whatever a verify says, or good after all")
    .argument("<copy>", "what ls printed")
    .option("--broken", "it is not the latest, no parent of increments, and not counted by retention")
    .option("--ok", "take back a mark, and what a verify found wrong")
    .option("--reason <text>", "why, for those who come later")
    .action((copy: string, options: Omit<MarkOptions, "copy">) => {
      start(async (invocation) => (await import("./commands/mark.ts")).mark({ ...options, copy }, invocation));
    });
  program
    .command("pause")
    .description("have the runs of cron do nothing on this host for a while")
    .option("--until <time>", "RFC 3339, or how long, such as 4h; at most 30 days")
    .option("--clear", "go on now")
    .action((options: PauseOptions) => {
      start(async (invocation) => (await import("./commands/pause.ts")).pause(options, invocation));
    });
  program
    .command("resume")
    .description("the same as pause --clear")
    .action(() => {
      start(async (invocation) => (await import("./commands/pause.ts")).pause({ clear: true }, invocation));
    });
};

/** What a person tells about the server's binary logs; `group` is the command they belong to. */
export const addBinlogOperations: Add = (group, start) => {
  group
    .command("purge")
    .description("have the server remove the logs that are archived, and that no peer needs")
    .option("--peer <host[:port]>", "a replica that has to have applied them; may be given again", collect)
    .option("--keep-hours <hours>", "keep what is younger", "24")
    .option("--dry-run", "print what would go, and why the rest stays")
    .action((options: PurgeOptions) => {
      start(async (invocation) => (await import("./commands/binlog-purge.ts")).purge(options, invocation));
    });
  group
    .command("takeover")
    .description("after a failover, on the new primary: end the old one's archive, and keep it from adding to that")
    .argument("<old-host>", "the host whose binary logs were archived so far")
    .action((oldHost: string) => {
      start(async (invocation) => (await import("./commands/binlog-takeover.ts")).takeover(oldHost, invocation));
    });
};

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
