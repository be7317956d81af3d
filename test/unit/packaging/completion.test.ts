import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { flat, program } from "../../../packaging/commands.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "../../../packaging/completion.ts";

const PROGRAM = program();
const ETC = new URL("../../../etc", import.meta.url).pathname;

function isInstalled(shell: string): boolean {
  return spawnSync(shell, ["-c", "true"]).status === 0;
}

/** Completes a line whose last word is being typed. */
type Complete = (...words: readonly string[]) => readonly string[];

function run(shell: string, script: string, words: readonly string[]): string[] {
  const { status, stdout, stderr } = spawnSync(shell, ["-c", script, "-", ...words], { encoding: "utf8" });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return stdout.split("\n").filter((line) => line !== "");
}

const inBash: Complete = (...words) => {
  const rest = `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _twindb_backup; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return run("bash", `${bashCompletion(PROGRAM)}\n${rest}`, ["twindb-backup", ...words]);
};

/** Found and loaded as zsh does it; with stand-ins for what only an interactive one has, which print what they would offer. */
const inZsh: Complete = (...words) => {
  const directory = mkdtempSync(join(tmpdir(), "twindb-zsh-"));
  writeFileSync(join(directory, "_twindb-backup"), zshCompletion(PROGRAM));
  const stubs = `
compdef() { :; }
_describe() { local each; for each in "\${(@P)2}"; do print -r -- "\${\${each//\\\\:/@}%%:*}"; done }
compadd() { shift; print -rl -- "$@"; }
_files() { print files; }
_message() { :; }
`;
  const load = `fpath=(${directory} $fpath); autoload -Uz _twindb-backup`;
  const rest = `words=("$@"); CURRENT=$#; PREFIX="\${words[-1]}"; _twindb-backup`;
  const all = run("zsh", `${stubs}${load}\n${rest}`, ["twindb-backup", ...words]);
  rmSync(directory, { recursive: true });
  return all.filter((each) => each.startsWith(words.at(-1) ?? ""));
};

const inFish: Complete = (...words) => {
  const line = ["twindb-backup", ...words].join(" ");
  const said = run("fish", `${fishCompletion(PROGRAM)}\ncomplete -C '${line}'`, []);
  return said.map((each) => each.split("\t")[0] ?? "");
};

describe.each([
  ["bash", inBash],
  ["zsh", inZsh],
  ["fish", inFish],
] as const)("in %s", (shell, complete) => {
  describe.skipIf(!isInstalled(shell))("a word is completed", () => {
    test("to commands, after options too", () => {
      const commands = PROGRAM.below.map(({ words }) => words.join());
      expect(complete("").toSorted()).toEqual(commands.toSorted());
      expect(complete("--config", "backup", "res").toSorted()).toEqual(["restore", "resume"]);
      expect(complete("--debug", "restore", "").toSorted()).toEqual(["file", "mysql"]);
    });

    test("to the options of each command, and to those of the program", () => {
      for (const entry of shell === "bash" ? flat(PROGRAM) : flat(PROGRAM).slice(0, 4)) {
        const found = complete(...entry.words, "--");
        for (const { flag } of [...entry.options, ...PROGRAM.options]) {
          if (flag !== "--version") expect(found).toContain(flag);
        }
      }
      expect(complete("restore", "file", "COPY", "--pa")).toEqual(["--path"]);
    });

    test("to what a value may be", () => {
      expect(complete("backup", "").toSorted()).toEqual(["daily", "hourly", "monthly", "weekly", "yearly"]);
      expect(complete("backup", "daily", "--only", "").toSorted()).toEqual(["binlog", "files", "mysql"]);
      expect(complete("verify", "mysql", "latest", "--level", "b")).toEqual(["boot"]);
      expect(complete("share", "--expires", "")).toEqual([]);
    });
  });
});

test("in bash a file is completed to a path", () => {
  expect(inBash("--config", `${ETC}/twin`)).toEqual([`${ETC}/twindb-backup.cfg`]);
  expect(inBash("restore", "mysql", "latest", "--dst", ETC)).toEqual([ETC]);
});
