import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseConfig } from "../../src/config/config.ts";
import { EXIT_STATUS } from "../../src/domain/errors.ts";
import { formatRecords } from "../../src/status/codec.ts";
import { at, fullCopy } from "../support/copies.ts";

const HOME = new URL("../../", import.meta.url).pathname;

/** The commands of a document below one heading, one text per indented block. */
function blocksOf(path: string, heading: string): string[] {
  const text = readFileSync(`${HOME}${path}`, "utf8");
  const section = text.split(/^## /m).find((each) => each.startsWith(`${heading}\n`)) ?? "";
  return [...section.matchAll(/(?:^ {4}.*\n)+/gm)].map(([block]) => block.replaceAll(/^ {4}/gm, ""));
}

/**
 * A host of its own for one shell: called db1, with a copy of this one's /etc, installed as README says.
 * Nothing that is written there outlives it.
 */
const FRESH_HOST = `
set -euo pipefail
hostname db1
etc=$(mktemp -d); trap 'umount -l /etc; rm -rf "$etc"' EXIT
cp -a /etc/. "$etc"; mkdir -p "$etc/mysql"; touch "$etc/fstab"
mount -t tmpfs none /opt; mkdir /opt/twindb-backup; mount --bind ${HOME} /opt/twindb-backup
mount --bind "$etc" /etc
for place in /root /home /run /usr/local/sbin; do mount -t tmpfs none $place; done
mkdir -p /var/backup; mount -t tmpfs none /var/backup
ln -s /opt/twindb-backup/bin/twindb-backup /usr/local/sbin/
export PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
cd /root; mkdir "/home/with a space"; echo hello > "/home/with a space/file"
newest() { twindb-backup ls --host db1 | grep -o 'db1/daily/files/_etc-[^ ]*' | tail -1; }
`;

/** Run lines on such a host. @returns what they print. @throws when one of them fails, with what it said. */
function onFreshHost(lines: readonly string[]): string {
  const script = [FRESH_HOST, ...lines].join("\n");
  const { status, stdout, stderr } = spawnSync("unshare", ["--mount", "--uts", "bash", "--norc", "-c", script], {
    encoding: "utf8",
    cwd: "/",
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return stdout;
}

/** The one rule: the copy a document names is the newest one, and each restore starts without the target. */
function runnable(block: string): string {
  const start = block.includes("--dst /root/restored") ? "rm -rf /root/restored\n" : "";
  return (
    start +
    block
      .replaceAll("COPY.tar.zst.gpg", '"/var/backup/twindb/$(newest)"')
      .replaceAll(/db1\/daily\/files\/_etc-2026-11-21_00_05_01\.tar\.zst|\bCOPY\b/g, '"$(newest)"')
  );
}

test("README: the two commands, and the restore", () => {
  const [two = ""] = blocksOf("README.md", "The two commands");
  const restores = blocksOf("README.md", "Restore");
  expect(restores).toHaveLength(2);
  const output = onFreshHost([two, ...restores.map(runnable), "find /root/restored", "twindb-backup check"]);
  expect(output).toMatch(/^db1\/|db1\/daily\/files\/_home-/m);
  expect(output).toContain("/root/restored/etc/mysql\n");
  expect(output).toContain("/root/restored/etc/fstab\n");
  expect(output).not.toContain("/root/restored/etc/passwd");
});

test("docs/restore.md: everything from the listing to the comparison", () => {
  const [two = ""] = blocksOf("README.md", "The two commands");
  const [list = "", rebuild = ""] = blocksOf("docs/restore.md", "1. What is there");
  const steps = blocksOf("docs/restore.md", "2. Bring it back");
  expect(steps).toHaveLength(2);
  const output = onFreshHost([two, list, rebuild, ...steps.map(runnable)]);
  expect(output).toContain("files: 2 copies");
});

test("docs/restore.md: by hand, without this program", () => {
  const [two = ""] = blocksOf("README.md", "The two commands");
  const [byHand = ""] = blocksOf("docs/restore.md", "By hand");
  const key = "gpg --batch --quiet --passphrase '' --quick-generate-key db@example.com rsa2048 encr 2>/dev/null";
  const gpg = `printf '[gpg]\\nrecipient = db@example.com\\n' >> /etc/twindb/twindb-backup.cfg`;
  const [init = "", backup = ""] = two.split("\n");
  const quiet = runnable(byHand).replace("gpg --decrypt", "gpg --quiet --decrypt");
  const output = onFreshHost([init, key, gpg, backup, quiet, "ls /root/restored/etc", "gpgconf --kill all"]);
  expect(output).toContain("fstab\n");
});

test("README: the config it shows is a good one, also with the part about the server", () => {
  const blocks = readFileSync(`${HOME}README.md`, "utf8").matchAll(/```ini\n([\s\S]*?)```/g);
  const [server = "", whole = ""] = [...blocks].map(([, text = ""]) => text);
  for (const text of [whole, `${whole}\n${server}`]) {
    const { config, warnings } = parseConfig(text, { path: "README.md", hostname: "db1" });
    expect(warnings).toEqual([]);
    expect(config.source.directories).toEqual(["/etc", "/root", "/srv/my files"]);
    expect(config.mysql?.defaultsFile).toBe(text === whole ? undefined : "/etc/twindb/my.cnf");
  }
});

test("README: the commands are those of the program", () => {
  const readme = readFileSync(`${HOME}README.md`, "utf8");
  const commands = [...readme.matchAll(/^\| `([a-z]+)( [a-z]+)?/gm)].map(
    ([, first = "", second = ""]) => first + second,
  );
  expect(commands.length).toBeGreaterThan(6);
  for (const command of commands) {
    const words = [...command.trim().split(" "), "--help"];
    const { status, stdout } = spawnSync(`${HOME}bin/twindb-backup`, words, { encoding: "utf8" });
    expect(stdout).toContain(`Usage: twindb-backup ${command.trim()}`);
    expect(status).toBe(0);
  }
});

test("README: the exit statuses are those of the program", () => {
  const [, listed = ""] = /^Exit status: ([\s\S]*?)\n\n/m.exec(readFileSync(`${HOME}README.md`, "utf8")) ?? [];
  const numbers = [...listed.matchAll(/(?:^|· |\n)(\d+) /g)].map(([, number]) => Number(number));
  expect(new Set(numbers)).toEqual(new Set([0, ...Object.values(EXIT_STATUS), 255]));
});

/** The names in the first column of a table. */
function namesIn(text: string): string[] {
  const rows = text.matchAll(/^\| (`[^|]*`) \|/gm);
  return [...rows].flatMap(([, cell = ""]) => [...cell.matchAll(/`([a-z0-9_]+)`/g)].map(([, name = ""]) => name));
}

test("docs/format.md: names the fields that a record of MySQL holds besides", () => {
  const [, files = "", mysql = ""] = readFileSync(`${HOME}docs/format.md`, "utf8").split(/^\| field of a /m);
  const copy = fullCopy(at(1), {
    bytes: 1,
    sha256: "0".repeat(64),
    rawBytes: 2,
    tool: "clone",
    toolVersion: "9",
    preservedUntil: "forever",
    mark: { broken: true, at: at(2), by: "root@db7", reason: "r" },
    verified: { at: at(2), ok: true, level: "boot" },
    fromLsn: 1n,
    toLsn: 2n,
    gtid: "0-1-2",
    serverVersion: "9",
    serverUuid: "u",
    datadirId: "1:2:3",
    format: "tar",
    checksums: new Map([["a.b", "1"]]),
  });
  const { daily } = JSON.parse(formatRecords("mysql", { copies: [copy] })) as { daily: Record<string, object> };
  const [record = {}] = Object.values(daily);
  // Those of the predecessor.
  const old = ["parent", "galera", "wsrep_provider_version", "server_vendor"];
  const known = new Set([...namesIn(files), ...namesIn(mysql), ...old]);
  expect(Object.keys(record).filter((name) => !known.has(name))).toEqual([]);
  for (const name of namesIn(mysql)) expect(Object.keys(record)).toContain(name);
});

test("docs/format.md: names the fields that a status and a manifest hold", () => {
  const [two = ""] = blocksOf("README.md", "The two commands");
  const [, table = ""] = readFileSync(`${HOME}docs/format.md`, "utf8").split(/^\| field of a /m);
  const named = namesIn(table);
  const show = [
    "twindb-backup verify file all >/dev/null",
    "twindb-backup status --type files",
    "cat /var/backup/twindb/db1/manifest/*_home*",
  ];
  const [, status = "", manifest = ""] = onFreshHost([two, ...show])
    .trimEnd()
    .split("\n");
  const records = Object.values((JSON.parse(status) as { daily: Record<string, object> }).daily);
  const sometimes = ["warnings", "preserved_until", "marked"];
  expect(records).toHaveLength(2);
  for (const record of records) expect(new Set([...Object.keys(record), ...sometimes])).toEqual(new Set(named));
  expect(Object.keys(JSON.parse(manifest) as object)).toEqual(["schema", "key", "media", "record", "sha256"]);
});
