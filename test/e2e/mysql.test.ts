import { chmodSync, rmSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { GnupgHome } from "../support/gnupg.ts";
import { leftoversIn, temporaryDirectories } from "../support/leftovers.ts";
import { checksums, startWriter, type Writer } from "../support/servers/load.ts";
import { hasMariadb, type Mariadb, startMariadb } from "../support/servers/mariadb.ts";
import { hasSshd, type Sshd, sshSection, startSshd } from "../support/servers/sshd.ts";

type Sections = Readonly<Record<string, Readonly<Record<string, string | number>>>>;

/** A copy, and what the tables that nobody wrote to meanwhile held when it was taken. */
type Moment = { readonly key: string; readonly sums: ReadonlyMap<string, string>; readonly rowsBefore: number };

type CopyRecord = {
  readonly type: string;
  readonly parent: string | null;
  readonly binlog: string;
  readonly gtid: string;
};

/** How many rows the load wrote, the last one, and what is in them. */
const LOGGED = "select count(*), max(id), sum(crc32(payload)) from steady.log";

let sandbox: Sandbox;
let server: Mariadb;

beforeEach(async () => {
  sandbox = new Sandbox();
  // The server's user has to get at what is restored below it.
  chmodSync(sandbox.root, 0o755);
  server = await startMariadb();
  await server.sql("create database shop");
});

afterEach(async () => {
  await server.stop();
  sandbox[Symbol.dispose]();
});

function configure(sections: Sections, mysql: Readonly<Record<string, string | number>> = {}): void {
  sandbox.configure({
    source: { backup_mysql: "yes" },
    destination: { backup_destination: "local" },
    local: { backup_dir: sandbox.copies },
    mysql: { mysql_defaults_file: server.defaultsFile, full_backup: "daily", ...mysql },
    compression: { program: "zstd", threads: 1 },
    retention: { hourly_copies: 10, daily_copies: 3 },
    ...sections,
  });
}

/** Everything but the table that is written to all the time. */
async function quietSums(from: Mariadb): Promise<ReadonlyMap<string, string>> {
  const sums = await checksums(from);
  return new Map([...sums].filter(([table]) => table !== "steady.log"));
}

async function records(): Promise<ReadonlyMap<string, CopyRecord>> {
  const result = await sandbox.run(["status", "--type", "mysql"]);
  expect(result).toMatchObject({ exitCode: 0, stderr: "" });
  const folders = JSON.parse(result.stdout) as Record<string, Record<string, CopyRecord>>;
  return new Map(Object.values(folders).flatMap((folder) => Object.entries(folder)));
}

/** Tables made, filled, renamed and dropped, so that every copy differs from the one before. */
async function change(round: number): Promise<void> {
  await server.sql(`
    use shop; create table shop.made_${round} (id int primary key, t varchar(300));
    insert into shop.made_${round} select seq, md5(seq * ${round + 1}) from seq_1_to_3000;
    create table shop.fleeting_${round} (id int primary key);
    alter table shop.made_${round} add column more int default ${round};`);
  if (round > 0) {
    await server.sql(`
      drop table shop.fleeting_${round - 1};
      update shop.made_${round - 1} set t = reverse(t) where id % 3 = 0;
      rename table shop.made_${round - 1} to shop.kept_${round - 1};`);
  }
}

async function take(runType: string, round: number, writer: Writer): Promise<Moment> {
  await change(round);
  const [sums, rowsBefore] = [await quietSums(server), await writer.more(5)];
  const before = await records();
  const result = await sandbox.run(["backup", runType]);
  expect(result).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
  const [key = ""] = [...(await records()).keys()].filter((each) => !before.has(each));
  return { key, sums, rowsBefore };
}

/** Restore a copy, boot a server on it, and compare. */
async function expectRestores({ key, sums, rowsBefore }: Moment): Promise<void> {
  const target = sandbox.path("restored");
  rmSync(target, { recursive: true, force: true });
  const result = await sandbox.run(["restore", "mysql", key, "--dst", target]);
  expect(result).toMatchObject({ exitCode: 0, stderr: "" });
  expect(result.stdout).toContain("chown -R mysql:mysql");
  const restored = await startMariadb({ datadir: target });
  try {
    expect(await quietSums(restored)).toEqual(sums);
    const [count, last, sum] = (await restored.sql(LOGGED)).trim().split("\t");
    expect(Number(last)).toBeGreaterThanOrEqual(rowsBefore);
    expect(count).toBe(last);
    expect(await server.sql(`select sum(crc32(payload)) from steady.log where id <= ${last}`)).toBe(sum);
  } finally {
    await restored.stop();
  }
}

async function expectChain(shape: (keys: readonly string[]) => (string | null)[]): Promise<void> {
  const writer = await startWriter(server);
  const moments: Moment[] = [];
  for (let round = 0; round < 6; round++) moments.push(await take(round === 0 ? "daily" : "hourly", round, writer));
  await writer.stop();
  const recorded = await records();
  const keys = moments.map(({ key }) => key);
  expect(keys.map((key) => recorded.get(key)?.parent ?? null)).toEqual(shape(keys));
  for (const moment of moments) await expectRestores(moment);
  expect((await sandbox.run(["verify", "mysql", "all", "--level", "checksum"])).exitCode).toBe(0);
  expect(leftoversIn(sandbox.copies)).toEqual([]);
  expect(temporaryDirectories(sandbox.temporary)).toEqual([]);
}

describe.skipIf(!hasMariadb())("MariaDB under load", () => {
  test("a full copy and five increments on it restore to what was there", async () => {
    configure({});
    await expectChain(([full = "", ...increments]) => [null, ...increments.map(() => full)]);
  });

  test("a chain of increments restores, with GPG over SSH", async () => {
    using gnupg = new GnupgHome();
    const recipient = gnupg.generate({ userId: "mysql <mysql@example.org>" });
    const sshd: Sshd | undefined = hasSshd() ? await startSshd() : undefined;
    configure(
      {
        ...(sshd && { destination: { backup_destination: "ssh" }, ssh: sshSection(sshd, sandbox.copies) }),
        gpg: { recipient, homedir: gnupg.directory },
      },
      { incremental_from: "last" },
    );
    await expectChain((keys) => keys.map((_, index) => keys[index - 1] ?? null));
    await sshd?.stop();
  });
});
