import { describe, expect, test } from "vitest";
import { otherLetterCase, wordsOf } from "../../../src/mysql/server-words.ts";

const MARIADB = `2026-11-21 13:20:00 0 [Note] InnoDB: Using io_uring
2026-11-21 13:20:00 0 [ERROR] InnoDB: The data file './ibdata1' has the wrong space ID. It should be 0, but 1515870810 was found
2026-11-21 13:20:00 0 [ERROR] InnoDB: Plugin initialization aborted with error Data structure corruption
2026-11-21 13:20:00 0 [ERROR] Plugin 'InnoDB' registration as a STORAGE ENGINE failed.
2026-11-21 13:20:00 0 [ERROR] Unknown/unsupported storage engine: InnoDB
2026-11-21 13:20:00 0 [ERROR] Aborting
`;

describe("wordsOf()", () => {
  test("keeps the errors that say something, without date and class", () => {
    expect(wordsOf(MARIADB)).toMatchObject({
      code: "DATA_DAMAGED",
      text: "InnoDB: The data file './ibdata1' has the wrong space ID. It should be 0, but 1515870810 was found",
    });
  });

  test("reads MySQL, and tells the same line once", () => {
    const line = "Z 1 [ERROR] [MY-012224] [InnoDB] Header page consists of zero bytes in datafile: ./ibdata1";
    const log = `2026-11-21T13:38:47.1${line}\n2026-11-21T13:38:47.2${line}\n2026-11-21T13:38:47.3Z 0 [ERROR] [MY-010119] [Server] Aborting\n`;
    expect(wordsOf(log).text).toBe("Header page consists of zero bytes in datafile: ./ibdata1");
  });

  test("falls back to the last lines, cut to what one can read", () => {
    const log = Array.from({ length: 9 }, (_, index) => `line ${index}`).join("\n");
    expect(wordsOf(log).text).toBe("line 4; line 5; line 6; line 7; line 8");
    expect(wordsOf("x".repeat(5000)).text).toHaveLength(300);
    expect(wordsOf("\n").text).toBe("it said nothing");
  });

  test.each([
    ["[ERROR] InnoDB: Error number 28 means 'No space left on device'", "NO_SPACE"],
    [
      "[ERROR] mariadbd: Can't create/write to file '/x/aria_log_control' (Errcode: 13 \"Permission denied\")",
      "NOT_PERMITTED",
    ],
    ["[ERROR] InnoDB: Unable to lock ./ibdata1 error: 11", "LOCKED"],
    [
      "[ERROR] [MY-014061] [InnoDB] Invalid MySQL server downgrade: Cannot downgrade from 80400 to 80036. Downgrade is not supported",
      "CONFIG_INVALID",
    ],
    ["/usr/sbin/mariadbd: unknown variable 'nonsense=1'", "PROGRAM_FAILED"],
    ["mysqld: error while loading shared libraries: libaio.so.1: cannot open shared object file", "PROGRAM_FAILED"],
    ["[ERROR] [MY-013183] [InnoDB] Assertion failure: buf0buf.cc:4142:ib::fatal triggered", "DATA_DAMAGED"],
  ])("%s", (line, code) => {
    expect(wordsOf(`2026-11-21 13:20:00 0 ${line}`)).toMatchObject({
      code,
      hint: expect.stringMatching(/^[A-Z].*\.$/),
    });
  });
});

test("otherLetterCase() reads what the data dictionary holds", () => {
  const refused =
    "2026-11-21T13:20:00Z 1 [ERROR] [MY-011087] [Server] Different lower_case_table_names settings for server ('0') and data dictionary ('1').";
  expect(otherLetterCase(refused)).toBe("1");
  expect(otherLetterCase(MARIADB)).toBeUndefined();
});
