import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { keysOn, quietly } from "../support/docs/examples.ts";
import { DocumentedHost, hasHosts } from "../support/docs/host.ts";
import { LEDGER } from "../support/docs/ledger.ts";
import { blocksIn, documents, namesIn, Pages, readProject } from "../support/docs/pages.ts";

const pages = new Pages(import.meta.url);

/** Patterns of paths, with words in capitals for what differs. */
function patternOf(path: string): RegExp {
  const words = path
    .replaceAll(/[.$^()]/g, "\\$&")
    .replaceAll(/\[([^\]]*)\]/g, (_, choices: string) => `(?:${choices})?`)
    .replaceAll("…", ".*")
    .replaceAll(/\b(?:HOST|RUN|DIR|NAME)\b/g, "[^/]+")
    .replaceAll(/INCARNATION/g, String.raw`\d{8}T\d{6}Z-[0-9a-f]{8}`)
    .replaceAll(/\bTS\b|2026-11-21_00_05_01/g, String.raw`\d{4}-\d\d-\d\d_\d\d_\d\d_\d\d`);
  return new RegExp(`^${words}${path.endsWith("/") ? ".*" : ""}$`);
}

describe("the ledger of blocks", () => {
  const blocks = documents().flatMap((path) => blocksIn(path, readProject(path)));

  test("names each block of README.md and docs/ once, and no other", () => {
    const ids = blocks.map(({ id }) => id);
    const named = Object.values(LEDGER).flat();
    expect(ids.filter((id) => !named.includes(id))).toEqual([]);
    expect(named.filter((id) => !ids.includes(id))).toEqual([]);
    expect(named.filter((id, index) => named.indexOf(id) !== index)).toEqual([]);
  });

  test("names tests that read the blocks", () => {
    for (const [test, ids] of Object.entries(LEDGER)) {
      const text = readProject(test);
      const named = text.includes("new Pages(") ? ids : ids.map((id) => id.split(":")[0] ?? "");
      expect(named.filter((each) => !text.includes(each))).toEqual([]);
    }
  });

  test("is about blocks that are told apart from a text's own", () => {
    const found = blocksIn(
      "x.md",
      "# A\n\n    one\n\n    two\n\n- b\n\n  ```sh\n  three\n  ```\n\n## B\n```ini\n# c\n```\n",
    );
    expect(found).toEqual([
      { id: "x.md: A 1", language: "", text: "one\n\ntwo\n" },
      { id: "x.md: A 2", language: "sh", text: "three\n" },
      { id: "x.md: B 1", language: "ini", text: "# c\n" },
    ]);
  });

  test("every link to a document, or to a heading of one, leads there", () => {
    const anchorOf = (title: string) =>
      title
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, "")
        .replaceAll(" ", "-");
    const isThere = (path: string, target: string): boolean => {
      const [file = "", anchor] = target.split("#");
      const url = new URL(file === "" ? basename(path) : file, new URL(`../../${path}`, import.meta.url));
      if (!existsSync(url) || anchor === undefined) return existsSync(url);
      const titles = readFileSync(url, "utf8").matchAll(/^#+ (.*)$/gm);
      return [...titles].some(([, title = ""]) => anchorOf(title) === anchor);
    };
    const links = documents().flatMap((path) => {
      const prose = readProject(path).replaceAll(/^```[^]*?^```$/gm, "");
      const targets = [...prose.matchAll(/\]\(([^)]+)\)/g)].map(([, target = ""]) => target);
      return targets.filter((target) => !target.startsWith("http")).map((target) => ({ path, target }));
    });
    expect(links.length).toBeGreaterThan(20);
    expect(links.filter(({ path, target }) => !isThere(path, target))).toEqual([]);
  });
});

describe.runIf(hasHosts())("a host with directories", () => {
  let host: DocumentedHost;

  beforeAll(async () => {
    host = await DocumentedHost.start();
    await host.sh("mkdir /etc/mysql '/home/with a space'; touch /etc/fstab; echo hello >'/home/with a space/file'");
    expect(await quiet(pages.take("README.md: The two commands 1"))).toContain("Wrote /etc/twindb/twindb-backup.cfg");
  });
  afterAll(async () => host[Symbol.asyncDispose]());

  const quiet = (block: string): Promise<string> => quietly(host, block);

  test("README: a restore, whole and in part", async () => {
    expect(await quiet(pages.take("README.md: Restore 1"))).toMatch(/db1\/daily\/files\/_home-/);
    expect(readdirSync(host.path("/root/restored/etc"))).toContain("passwd");
    await quiet("rm -r restored");
    await quiet(pages.take("README.md: Restore 2"));
    expect(readdirSync(host.path("/root/restored/etc")).sort()).toEqual(["fstab", "mysql"]);
    await quiet("rm -r restored");
  });

  test("docs/restore.md: everything from the listing to the comparison", async () => {
    expect(await quiet(pages.take("docs/restore.md: 1. What is there 1"))).toContain("db1/daily/files/_etc-");
    expect(await quiet(pages.take("docs/restore.md: 1. What is there 2"))).toContain("files: 2 copies");
    await quiet(pages.take("docs/restore.md: 2. Bring it back 1"));
    expect(await quiet(pages.take("docs/restore.md: 2. Bring it back 2"))).toBe("");
    await quiet("rm -r restored");
  });

  test("docs/migrating.md: copies that nobody recorded are taken up", async () => {
    const old = "/var/backup/twindb/db1/hourly/files";
    await quiet(`mkdir -p ${old}; tar -C / -czf ${old}/_home-2020-01-01_00_00_01.tar.gz home 2>&1`);
    const output = await quiet(pages.take("docs/migrating.md: Coming from the Python twindb-backup 1"));
    expect(output).toMatch(/^ok .*_home-2020-01-01/m);
  });

  test("docs/operations.md: mark and pause", async () => {
    await quiet(pages.take("docs/operations.md: Say that a copy is no good: `mark` 1"));
    expect(await quiet("twindb-backup ls")).not.toContain("broken");
    await quiet(pages.take("docs/operations.md: Stop the runs for a while: `pause` 1"));
    expect(existsSync(host.path("/var/lib/twindb-backup/paused.json"))).toBe(false);
  });

  test("docs/monitoring.md: Nagios, the fleet, the page", async () => {
    const [, command = ""] =
      /command_line +\/usr\/bin\/sudo (.*)\n/.exec(pages.take("docs/monitoring.md: Nagios 1")) ?? [];
    expect(await quiet(command)).toMatch(/OK.* \| /);
    expect(await quiet(pages.take("docs/monitoring.md: A fleet 1"))).toMatch(/^db1 .*\{\s*"/ms);
    await quiet("mkdir /var/www/html");
    await quiet(pages.take("docs/monitoring.md: A page to look at 1"));
    expect(readFileSync(host.path("/var/www/html/backups.html"), "utf8")).toContain("db1");
  });

  test("docs/format.md and README: every object has one of the forms that are told, and status and manifest theirs", async () => {
    const formsIn = (id: string) =>
      pages
        .take(id)
        .split(/\s{2,}|\n/)
        .filter((word) => word.startsWith("HOST/"))
        .map(patternOf);
    const objects = (await quiet("cd /var/backup/twindb; find * -type f")).trimEnd().split("\n");
    const forms = formsIn("docs/format.md: What lies on a destination 1");
    expect(objects.filter((object) => !forms.some((form) => form.test(object)))).toEqual([]);
    const shown = formsIn("README.md: How it works 2");
    expect(shown).toHaveLength(4);
    expect(shown.filter((form) => !objects.some((object) => form.test(object)))).toEqual([]);
    const [, table = ""] = readProject("docs/format.md").split(/^\| field of a /m);
    await quiet("twindb-backup verify file all");
    const folders = JSON.parse(await quiet("twindb-backup status --type files")) as { daily: Record<string, object> };
    const records = Object.values(folders.daily);
    expect(records.length).toBeGreaterThan(3);
    // These are there sometimes; one of the copies was marked.
    const sometimes = ["warnings", "preserved_until", "marked"];
    for (const record of records)
      expect(new Set([...Object.keys(record), ...sometimes])).toEqual(new Set(namesIn(table)));
    const shape = (text: string) => JSON.parse(text.replaceAll("{…}", "{}")) as Record<string, object>;
    const status = shape(pages.take("docs/format.md: Status 1"));
    expect(Object.keys(folders)).toEqual(Object.keys(status));
    const manifest = shape(pages.take("docs/format.md: Manifests 1"));
    const stored = JSON.parse(
      await quiet("cd /var/backup/twindb/db1/manifest; cat $(ls *_etc-*.json | tail -1)"),
    ) as object;
    expect(Object.keys(stored)).toEqual(Object.keys(manifest));
  });

  test("README and docs/architecture.md: the figures name what is there", async () => {
    const pipeline = pages.take("README.md: How it works 1");
    for (const program of pipeline.match(/\b(?:tar|zstd|gpg)\b/g) ?? []) await quiet(`command -v ${program}`);
    const folders = pages.take("docs/architecture.md: Architecture, for contributors 1").match(/[a-z]+/g) ?? [];
    const there = readdirSync(new URL("../../src/", import.meta.url)).map((name) => name.replace(/\.ts$/, ""));
    expect(folders.filter((name) => !there.includes(name))).toEqual(["doors", "of"]);
  });

  test("README: what is said of working on it, make knows", async () => {
    const block = pages.take("README.md: Working on it 1");
    expect(block.match(/^make/gm)?.length).toBeGreaterThan(2);
    await quiet(
      `cd /opt/twindb-backup\n${block.replaceAll(/^make/gm, "make --dry-run --no-print-directory >/dev/null")}`,
    );
  });

  test("docs/security.md and restore.md: encryption, and a copy by hand, without this program", async () => {
    const make = "gpg --batch --quiet --homedir key --passphrase '' --quick-generate-key db@example.com rsa2048 encr";
    await host.sh(`mkdir -m 700 key; ${make}; gpg --homedir key --armor --export >/root/backup-public.asc`);
    await host.sh(pages.take("docs/security.md: Encryption 1"));
    const [fingerprint = ""] = /[0-9A-F]{40}/.exec(await host.sh("gpg --with-colons --list-keys")) ?? [];
    const section = pages.take("docs/security.md: Encryption 2").replace(/[0-9A-F]{40}/, fingerprint);
    const config = "/etc/twindb/twindb-backup.cfg";
    host.write(config, `${readFileSync(host.path(config), "utf8")}\n${section}`);
    await quiet("twindb-backup backup daily");
    const newest = (await keysOn(host)).findLast((key) => key.includes("_etc-"));
    expect(newest).toMatch(/\.tar\.zst\.gpg$/);
    // With what the host has it cannot be read.
    const byHand = pages.take("docs/restore.md: By hand 1").replace("COPY.tar.zst.gpg", `/var/backup/twindb/${newest}`);
    const { exitCode, stderr } = await host.run(byHand);
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain("No secret key");
    await quiet("rm -r restored; gpg --quiet --homedir key --export-secret-keys | gpg --batch --quiet --import");
    await quiet(byHand.replace("gpg --decrypt", "gpg --quiet --decrypt"));
    expect(readdirSync(host.path("/root/restored/etc"))).toContain("fstab");
  });

  test("each block that is named for this test was run", () => expect(pages.left()).toEqual([]));
});
