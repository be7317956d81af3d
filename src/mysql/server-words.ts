import type { ErrorCode } from "../domain/errors.ts";

const LINE_LIMIT = 300;
const LINES = 5;

/** Prefix of a line: `2026-11-21 13:20:00 0 [ERROR] `, `261121 13:20:00 [ERROR] ` or `2026-11-21T13:20:00.123456Z 0 [ERROR] [MY-010119] [Server] `. */
const PREFIX = /^(?:\d{4}-\d\d-\d\d|\d{6})[T ]+[\d:.]+\S*\s+(?:\d+ )?\[\w+\] (?:\[MY-\d+\] \[\w+\] )?/;

/** What follows from another error, and says nothing by itself. */
const ECHO =
  /\] (?:\[MY-\d+\] \[\w+\] )?(?:Aborting|Plugin '\w+' (?:init function|registration)|(?:InnoDB: )?Plugin initialization aborted|Unknown\/unsupported storage engine|Failed to initialize (?:plugins|DD)|Data Dictionary initialization failed)/;

/** Why a server refuses, where that says nothing about the data. The first that fits wins. */
const CIRCUMSTANCES: readonly (readonly [RegExp, ErrorCode, string])[] = [
  [
    /no space left|disk full|disk quota|errno: 28\b/i,
    "NO_SPACE",
    "Make room in the directory the copy was restored into.",
  ],
  [
    /permission denied|errno:? 13\b|errcode: 13\b|operation not permitted/i,
    "NOT_PERMITTED",
    "Let the user of the server enter every directory above, and look whether AppArmor or SELinux forbids the place.",
  ],
  [/unable to lock|another (?:mysqld|mariadbd) process/i, "LOCKED", "End the server that runs on this directory."],
  [
    /downgrade is not supported|upgrade is not supported|not permitted to upgrade|redo log format|redo log was created/i,
    "CONFIG_INVALID",
    "Install the version of the server that the copy is of.",
  ],
  [
    /keyring|master key|encryption key/i,
    "PROGRAM_FAILED",
    "Restore the copy, and start it with the settings for encryption of its server.",
  ],
  [
    /cannot allocate|out of memory|errno:? 12\b|too many open files|unknown (?:option|variable)|shared librar|io_setup|io_uring_queue_init/i,
    "PROGRAM_FAILED",
    "Look at what the server says; it does not speak of the data.",
  ],
];

/** What a server said before it ended, told to people. */
export type Words = { readonly code: ErrorCode; readonly text: string; readonly hint: string };

function plain(line: string): string {
  return line.replace(PREFIX, "").trim().slice(0, LINE_LIMIT);
}

/** Read the log of a server that ended by itself: its errors without their echoes, else its last lines. */
export function wordsOf(log: string): Words {
  const lines = log.split("\n").filter((line) => line.trim() !== "");
  const errors = lines.filter((line) => line.includes("[ERROR]") && !ECHO.test(line));
  const chosen = new Set((errors.length > 0 ? errors : lines).map(plain));
  const text = (errors.length > 0 ? [...chosen].slice(0, LINES) : [...chosen].slice(-LINES)).join("; ");
  const [, code, hint] = CIRCUMSTANCES.find(([pattern]) => pattern.test(text)) ?? [
    undefined,
    "DATA_DAMAGED" as const,
    "Restore an older copy, and look at how this one was taken.",
  ];
  return { code, text: text === "" ? "it said nothing" : text, hint };
}

/**
 * How the data directory spells the names of tables, when the server refused because it was told otherwise. MySQL fixes this
 * when a data directory is made, and no copy notes it down.
 */
export function otherLetterCase(log: string): string | undefined {
  return /lower_case_table_names settings for server \('\d'\) and data dictionary \('(\d)'\)/.exec(log)?.[1];
}
