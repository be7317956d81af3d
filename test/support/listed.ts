import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Sandbox } from "./cli.ts";
import { describeTree, differingPaths, type TreeRecord } from "./tree.ts";

/** One row of `ls --json`. */
export type Row = {
  readonly key: string;
  readonly directory: string | null;
  readonly state: string;
  readonly marked: { readonly broken: boolean; readonly reason: string | null } | null;
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

/** A directory and what was in it when its copies were taken. */
export type Described = { readonly directory: string; readonly records: readonly TreeRecord[] };

/** Describe a directory now. */
export function described(directory: string): Described {
  return { directory, records: describeTree(directory) };
}

/** Restore a copy and compare it with the directory it was taken of. @returns the paths that differ. */
export async function restored(sandbox: Sandbox, copy: string, source: string | Described): Promise<readonly string[]> {
  const { directory, records } = typeof source === "string" ? described(source) : source;
  const target = mkdtempSync(join(sandbox.root, "restored-"));
  try {
    expect(await sandbox.run(["restore", "file", copy, "--dst", target])).toMatchObject({
      exitCode: 0,
      stdout: "",
      stderr: "",
    });
    return differingPaths(records, describeTree(join(target, directory)));
  } finally {
    rmSync(target, { recursive: true });
  }
}
