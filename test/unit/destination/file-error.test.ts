import { open } from "node:fs/promises";
import { constants } from "node:os";
import { expect, test } from "vitest";
import { during, fileError, isSystemError } from "../../../src/destination/file-error.ts";
import { BackupError } from "../../../src/domain/errors.ts";

const DOING = { verb: "store", object: "h/x", path: "/var/backup" };

/** As Node throws it. */
function systemError(code: string, errno: number) {
  return Object.assign(new Error(`${code}: something, write`), { code, errno, syscall: "write" });
}

test.each([
  ["ENOSPC", "NO_SPACE", 'Cannot store "h/x": no space is left in "/var/backup"', false],
  ["EDQUOT", "NO_SPACE", 'Cannot store "h/x": the disk quota in "/var/backup" is used up', false],
  ["EACCES", "NOT_PERMITTED", 'Cannot store "h/x": access to "/var/backup" is denied', false],
  ["EROFS", "NOT_PERMITTED", 'Cannot store "h/x": "/var/backup" is on a read-only file system', false],
  ["EIO", "FAILED", 'Cannot store "h/x": the disk below "/var/backup" reports an input/output error', false],
  ["ESTALE", "FAILED", 'Cannot store "h/x": the mount of "/var/backup" is stale', true],
] as const)("fileError() says what %s means", (...[name, code, message, retryable]) => {
  const cause = systemError(name, -constants.errno[name]);
  const error = fileError(cause, DOING);
  expect(error).toMatchObject({ code, message, retryable, cause });
  expect((error as BackupError).hint).toMatch(/^[A-Z].*\.$/);
});

test("fileError() knows EDQUOT also where libuv has no name for it", () => {
  const error = systemError("Unknown system error -122", -constants.errno.EDQUOT);
  expect(isSystemError(error, "EDQUOT")).toBe(true);
  expect(fileError(error, DOING)).toMatchObject({ code: "NO_SPACE" });
});

test("fileError() keeps the text of errors without a meaning of their own", () => {
  expect(fileError(systemError("EBUSY", -constants.errno.EBUSY), DOING)).toMatchObject({
    code: "FAILED",
    message: 'Cannot store "h/x": EBUSY: something, write in "/var/backup"',
  });
});

test("during() passes other errors as they are", async () => {
  const errors = [new BackupError("CONFLICT", "Cannot"), new TypeError("a bug"), "text", new Error("ENOSPC")];
  for (const error of errors) {
    await expect(
      during(DOING, async () => {
        throw error;
      }),
    ).rejects.toBe(error);
  }
});

test("during() turns what the file system really throws into a BackupError", async () => {
  await expect(during(DOING, () => open("/proc/self/nothing", "wx"))).rejects.toBeInstanceOf(BackupError);
});
