import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Sandbox } from "./cli.ts";
import { describeTree } from "./tree.ts";

/** One row of `ls --json`. */
export type Row = {
  readonly key: string;
  readonly directory: string | null;
  readonly state: string;
  readonly bytes: number;
  readonly sha256: string | null;
  readonly warnings: readonly string[];
};

/** The copies that `ls` lists. */
export async function copiesOf(sandbox: Sandbox): Promise<readonly Row[]> {
  const result = await sandbox.run(["ls", "--json"]);
  expect(result.exitCode).toBe(0);
  return (JSON.parse(result.stdout) as { copies: Row[] }).copies;
}

/** Restore a copy and compare it with the directory it was taken of. @returns the paths that differ. */
export async function restored(sandbox: Sandbox, copy: string, directory: string): Promise<readonly string[]> {
  const target = mkdtempSync(join(sandbox.root, "restored-"));
  try {
    expect(await sandbox.run(["restore", "file", copy, "--dst", target])).toMatchObject({
      exitCode: 0,
      stdout: "",
    });
    const [want, got] = [describeTree(directory), describeTree(join(target, directory))];
    const all = new Set([...want, ...got].map((record) => record.path));
    const text = (records: typeof want, path: string) => JSON.stringify(records.find((record) => record.path === path));
    return [...all].filter((path) => text(want, path) !== text(got, path));
  } finally {
    rmSync(target, { recursive: true });
  }
}
