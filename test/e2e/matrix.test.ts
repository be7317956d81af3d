import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { quoteShellWord } from "../../src/config/shell-words.ts";
import { makeBigFile, makeManyFiles } from "../support/bulk-trees.ts";
import { type RunOptions, Sandbox } from "../support/cli.ts";
import { GnupgHome } from "../support/gnupg.ts";
import { filesBelow, leftoversIn, temporaryDirectories } from "../support/leftovers.ts";
import { copiesOf, type Described, described, restored } from "../support/listed.ts";
import { hasSshd, type Sshd, sshSection, startSshd } from "../support/servers/sshd.ts";
import { makeNastyTree } from "../support/tree.ts";

/** The large trees in every row, and a large file that is large. */
const IS_FULL = process.env["E2E_FULL"] === "1";

const PROGRAMS = ["gzip", "pigz", "bzip2", "lbzip2", "zstd", "xz", "lz4", "none"] as const;
const DESTINATIONS = ["local", "ssh", "sftp"] as const;

type Row = {
  readonly destination: (typeof DESTINATIONS)[number];
  readonly program: (typeof PROGRAMS)[number];
  readonly isEncrypted: boolean;
  readonly isKept: boolean;
  readonly withLarge: boolean;
};

/** Every other row keeps a second copy, so that each program does with and without encryption. */
const ROWS: readonly Row[] = DESTINATIONS.flatMap((destination, which) =>
  PROGRAMS.filter((program) => destination !== "sftp" || program === "zstd" || program === "none").flatMap(
    (program, index) =>
      [false, true].map((isEncrypted) => ({
        destination,
        program,
        isEncrypted,
        isKept: (which + index + Number(isEncrypted)) % 2 === 0,
        withLarge: IS_FULL || (isEncrypted ? program === "zstd" : program === "none"),
      })),
  ),
);

const SURROUNDINGS: readonly RunOptions[] = [
  { env: { TZ: "Pacific/Auckland" }, wrapper: underMask("000") },
  { env: { TZ: "America/New_York" }, wrapper: underMask("077") },
  { env: { TZ: "UTC" }, wrapper: underMask("022") },
  { env: { TZ: "Asia/Kolkata", LANG: "C" }, wrapper: underMask("777") },
];

function underMask(mask: string): string[] {
  return ["sh", "-c", `umask ${mask}; exec "$@"`, "sh"];
}

const root = mkdtempSync(join(tmpdir(), "twindb-matrix-"));
const gnupg = new GnupgHome();
let recipient: string;
let small: Described[];
let large: Described[];
let servers: Readonly<Partial<Record<Row["destination"], Sshd>>>;

beforeAll(async () => {
  const [quotes, etc, etcMysql, many, nasty, big] = [`it's a "name"`, "etc", "etc_mysql", "many", "nasty", "big"].map(
    (name) => join(root, name),
  );
  for (const directory of [quotes, etc, etcMysql, many, big]) mkdirSync(directory ?? "", { mode: 0o750 });
  for (const directory of [quotes, etc, etcMysql]) writeFileSync(join(directory ?? "", "my.cnf"), `${directory}\n`);
  makeNastyTree(nasty ?? "");
  makeManyFiles(many ?? "", 20_000);
  await makeBigFile(join(big ?? "", "file"), IS_FULL ? 1024 : 48);
  small = [quotes, etc, etcMysql, nasty].map((directory) => described(directory ?? ""));
  large = [many, big].map((directory) => described(directory ?? ""));
  recipient = gnupg.generate({ userId: "matrix <backup@example.org>" });
  servers = hasSshd()
    ? { ssh: await startSshd(), sftp: await startSshd({ lines: ["ForceCommand internal-sftp"] }) }
    : {};
});

afterAll(async () => {
  for (const server of Object.values(servers)) await server.stop();
  gnupg[Symbol.dispose]();
  rmSync(root, { recursive: true, force: true });
});

function treesOf({ withLarge }: Row): Described[] {
  return withLarge ? [...small, ...large] : small;
}

function configure(sandbox: Sandbox, row: Row): void {
  const { destination, program, isEncrypted, isKept } = row;
  const server = servers[destination];
  sandbox.configure({
    source: {
      backup_dirs: treesOf(row)
        .map(({ directory }) => quoteShellWord(directory))
        .join(" "),
    },
    destination: {
      backup_destination: server === undefined ? "local" : "ssh",
      ...(isKept && { keep_local_path: sandbox.path("kept") }),
    },
    ...(server === undefined ? { local: { backup_dir: sandbox.copies } } : { ssh: sshSection(server, sandbox.copies) }),
    compression: { program },
    ...(isEncrypted && { gpg: { recipient, homedir: gnupg.directory } }),
  });
}

async function expectRestores(sandbox: Sandbox, copies: readonly string[], trees: readonly Described[]): Promise<void> {
  expect(copies).toHaveLength(trees.length);
  for (const [index, tree] of trees.entries()) {
    // Another zone and mask than those of the backup.
    sandbox.surroundings = SURROUNDINGS[index % SURROUNDINGS.length] ?? {};
    expect(await restored(sandbox, copies[index] ?? "", tree)).toEqual([]);
  }
}

/** The kept copies in the order of the trees. */
function keptOf(sandbox: Sandbox, trees: readonly Described[]): string[] {
  const paths = filesBelow(sandbox.path("kept"));
  return trees.flatMap(({ directory }) => {
    const start = `${directory.replaceAll("/", "_")}-2`;
    return paths.filter((path) => path.includes(start)).map((path) => sandbox.path("kept", path));
  });
}

async function expectRoundTrip(sandbox: Sandbox, row: Row): Promise<void> {
  const trees = treesOf(row);
  sandbox.surroundings = SURROUNDINGS[ROWS.indexOf(row) % SURROUNDINGS.length] ?? {};
  expect(await sandbox.run(["backup", "daily"])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
  expect(leftoversIn(sandbox.copies)).toEqual([]);
  const copies = await copiesOf(sandbox);
  const keys = trees.map(({ directory }) => copies.find((copy) => copy.directory === directory)?.key ?? "");
  expect(copies).toHaveLength(trees.length);
  expect(keys.every((key) => key.endsWith(".gpg") === row.isEncrypted)).toBe(true);
  await expectRestores(sandbox, keys, trees);
  if (row.isKept) await expectRestores(sandbox, keptOf(sandbox, trees), trees);
  expect(await sandbox.run(["verify", "file", "all"])).toMatchObject({ exitCode: 0, stderr: "" });
  expect((await copiesOf(sandbox)).map(({ state }) => state)).toEqual(trees.map(() => "verified"));
  expect(temporaryDirectories(sandbox.temporary)).toEqual([]);
}

describe.each(DESTINATIONS)("backup to %s", (destination) => {
  const rows = ROWS.filter((row) => row.destination === destination);
  test.skipIf(destination !== "local" && !hasSshd()).each(rows)(
    "restores what $program packed, encrypted: $isEncrypted, kept: $isKept",
    async (row) => {
      using sandbox = new Sandbox();
      configure(sandbox, row);
      await expectRoundTrip(sandbox, row);
    },
  );
});
