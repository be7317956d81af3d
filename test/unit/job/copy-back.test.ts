import { expect, test } from "vitest";
import { datadirOf, openCopyBack } from "../../../src/job/copy-back.ts";
import { prepareMemory } from "../../../src/job/memory.ts";
import { at, fullCopy } from "../../support/copies.ts";

const withConfig = (text: string) => fullCopy(at(1), { config: new Map([["/etc/my.cnf", text]]) });

test("datadirOf() takes what the user says, else what the copy's config files say", () => {
  const copy = withConfig("[mysqld]\ndatadir=/data/mysql\n");
  expect(datadirOf(copy, undefined)).toBe("/data/mysql");
  expect(datadirOf(copy, "/other")).toBe("/other");
});

test("datadirOf() wants to be told what nobody knows", () => {
  expect(() => datadirOf(fullCopy(at(1)), undefined)).toThrow(expect.objectContaining({ code: "USAGE" }));
});

test("datadirOf() refuses a server whose data lies in several places", () => {
  const copy = withConfig("[mysqld]\ndatadir=/data\ninnodb_undo_directory=/fast/undo\n");
  expect(() => datadirOf(copy, "/data")).toThrow("innodb_undo_directory is /fast/undo");
});

test("openCopyBack() refuses a directory of another user, unless it may give files away", async () => {
  const { signal } = new AbortController();
  if (process.geteuid?.() === 0) await expect(openCopyBack("/var/lib", { signal })).resolves.toBeTypeOf("function");
  else await expect(openCopyBack("/var/lib", { signal })).rejects.toMatchObject({ code: "NOT_PERMITTED" });
});

test.each([
  [2 * 1024 ** 3, 1024 ** 3],
  [64 * 1024 ** 3, 4 * 1024 ** 3],
  [1000, 128 * 1024 ** 2],
])("prepareMemory() of %i free bytes is %i", (free, bytes) => {
  expect(prepareMemory(free)).toBe(bytes);
});
