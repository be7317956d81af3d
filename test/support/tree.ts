import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  type BigIntStats,
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** Everything of one entry that a restore must bring back. */
export type TreeRecord = {
  /** Relative to the root, one character per byte; `.` for the root itself. */
  readonly path: string;
  readonly type: string;
  /** Octal, with setuid and sticky. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Files only. */
  readonly size: number;
  readonly mtimeNs: string;
  /** Device files only. */
  readonly rdev: number;
  readonly target: string | undefined;
  /** The first path of the same file, when it has several. */
  readonly linkedTo: string | undefined;
  /** Extended attributes, ACLs among them, such as `user.k=0x76`. */
  readonly attributes: readonly string[];
  readonly sha256: string | undefined;
};

function typeOf(stats: BigIntStats): string {
  if (stats.isDirectory()) return "directory";
  if (stats.isFile()) return "file";
  if (stats.isSymbolicLink()) return "link";
  if (stats.isFIFO()) return "fifo";
  if (stats.isCharacterDevice()) return "character device";
  return stats.isSocket() ? "socket" : "block device";
}

function* walk(directory: Buffer): Generator<Buffer> {
  for (const name of readdirSync(directory, { encoding: "buffer" })) {
    const path = Buffer.concat([directory, Buffer.from("/"), name]);
    yield path;
    if (lstatSync(path).isDirectory()) yield* walk(path);
  }
}

/** Attributes by path, from `getfattr -R`. */
function attributesBelow(root: string): Map<string, string[]> {
  const args = ["-R", "-h", "-P", "-d", "-m", "-", "-e", "hex", "--", "."];
  const output = execFileSync("getfattr", args, { cwd: root, maxBuffer: 2 ** 28 }).toString("latin1");
  const blocks = output.split("\n\n").map((block) => block.split("\n").filter((line) => line !== ""));
  return new Map(
    blocks.map(([head = "", ...lines]) => {
      const name = head.slice("# file: ".length);
      const octal = (_: string, digits: string) => String.fromCharCode(Number.parseInt(digits, 8));
      return [name.replaceAll(/\\([0-7]{3})/g, octal), lines];
    }),
  );
}

/** Describe everything below a directory, and the directory itself, sorted by path. Sockets are left out. */
export function describeTree(root: string): TreeRecord[] {
  const attributes = attributesBelow(root);
  const first = new Map<string, string>();
  const start = Buffer.from(root);
  const paths = [start, ...walk(start)].filter((path) => !lstatSync(path).isSocket());
  const named = paths.map((path) => {
    const relative = path.subarray(start.length + 1).toString("latin1");
    return { path, name: relative === "" ? "." : relative };
  });
  return named
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .map(({ path, name }) => {
      const stats = lstatSync(path, { bigint: true });
      const inode = `${stats.dev}:${stats.ino}`;
      const several = stats.nlink > 1n && !stats.isDirectory();
      if (several && !first.has(inode)) first.set(inode, name);
      return {
        path: name,
        type: typeOf(stats),
        mode: (stats.mode & 0o7777n).toString(8),
        uid: Number(stats.uid),
        gid: Number(stats.gid),
        size: stats.isFile() ? Number(stats.size) : 0,
        mtimeNs: String(stats.mtimeNs),
        rdev: Number(stats.rdev),
        target: stats.isSymbolicLink() ? readlinkSync(path, "latin1") : undefined,
        linkedTo: several ? first.get(inode) : undefined,
        attributes: attributes.get(name) ?? [],
        sha256: stats.isFile() ? createHash("sha256").update(readFileSync(path)).digest("hex") : undefined,
      };
    });
}

function raw(root: string, name: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), name]);
}

function makeNames(root: string): void {
  const names = [
    "with space",
    'it\'s "quoted"',
    "two\nlines",
    "-rf",
    "--help",
    "grüße-日本",
    "back\\slash\\n",
    "*[a]?",
  ];
  for (const name of [...names, " ", "~", "$HOME", "a\tb", "%s", ".hidden", "..dots"]) {
    writeFileSync(join(root, name), name);
  }
  writeFileSync(raw(root, Buffer.from([0x66, 0xff, 0xfe, 0x80])), "not UTF-8");
  const deep = join(root, ...Array.from({ length: 20 }, (_, level) => `${level}-${"x".repeat(150)}`));
  mkdirSync(deep, { recursive: true });
  writeFileSync(join(deep, "y".repeat(255)), "at the end of a long path");
}

function makeKinds(root: string): void {
  mkdirSync(join(root, "empty directory"));
  writeFileSync(join(root, "empty"), "");
  writeFileSync(join(root, "one"), "linked three times");
  linkSync(join(root, "one"), join(root, "two"));
  linkSync(join(root, "one"), join(root, "empty directory", "..", "three"));
  symlinkSync("nowhere", join(root, "dangling"));
  symlinkSync("/etc/hostname", join(root, "absolute"));
  symlinkSync("loop-b", join(root, "loop-a"));
  symlinkSync("loop-a", join(root, "loop-b"));
  symlinkSync("t".repeat(300), join(root, "long target"));
  writeFileSync(join(root, "sparse"), "start");
  truncateSync(join(root, "sparse"), 100 * 1024 * 1024);
  execFileSync("mkfifo", [join(root, "fifo")]);
}

function makeAttributes(root: string): void {
  const inherited = join(root, "with default ACL");
  mkdirSync(inherited);
  writeFileSync(join(inherited, "without ACL"), "x");
  execFileSync("setfacl", ["-d", "-m", "u:1234:rwx", inherited]);
  writeFileSync(join(inherited, "with ACL"), "x");
  execFileSync("setfacl", ["-m", "g:4321:r", join(inherited, "with ACL")]);
  writeFileSync(join(root, "attributed"), "x");
  execFileSync("setfattr", ["-n", "user.comment", "-v", "0x00ff0a", join(root, "attributed")]);
  execFileSync("setfattr", ["-n", "user.on directory", "-v", "d", join(root, "empty directory")]);
}

function makePrivileged(root: string): void {
  execFileSync("mknod", [join(root, "null"), "c", "1", "3"]);
  writeFileSync(join(root, "owned"), "x");
  chownSync(join(root, "owned"), 54_321, 65_000);
  chownSync(join(root, "empty directory"), 54_321, 65_000);
  execFileSync("setfattr", ["-n", "trusted.md5", "-v", "0x01", join(root, "attributed")]);
  const capability = "0x0100000200200000000000000000000000000000";
  execFileSync("setfattr", ["-n", "security.capability", "-v", capability, join(root, "attributed")]);
}

function makeModesAndTimes(root: string): void {
  for (const [name, mode] of Object.entries({ setuid: 0o4755, setgid: 0o2711, unreadable: 0o000, plain: 0o640 })) {
    writeFileSync(join(root, name), name);
    chmodSync(join(root, name), mode);
  }
  mkdirSync(join(root, "sticky"));
  writeFileSync(join(root, "sticky", "inside"), "x");
  chmodSync(join(root, "sticky"), 0o1777);
  mkdirSync(join(root, "closed"));
  writeFileSync(join(root, "closed", "inside"), "x");
  chmodSync(join(root, "closed"), 0o555);
  execFileSync("touch", ["-d", "2001-02-03 04:05:06.123456789 UTC", join(root, "plain")]);
  execFileSync("touch", ["-d", "1969-12-31 23:00:00.5 UTC", join(root, "setuid")]);
  utimesSync(join(root, "setgid"), 4_000_000_000, 4_000_000_000);
  lutimesSync(join(root, "dangling"), 1_000_000_000, 1_000_000_000);
  for (const name of ["closed", "sticky", "empty directory"]) utimesSync(join(root, name), 981_173_106, 981_173_106.25);
}

/**
 * Fill a directory with what has broken backup tools: names, kinds of files, links, holes, modes, times, owners, ACLs and
 * extended attributes. As root it also makes devices, foreign owners and trusted attributes.
 */
export function makeNastyTree(root: string): void {
  mkdirSync(root, { recursive: true });
  makeNames(root);
  makeKinds(root);
  makeAttributes(root);
  if (process.getuid?.() === 0) makePrivileged(root);
  makeModesAndTimes(root);
  execFileSync("touch", ["-d", "2011-11-11 11:11:11.111111111 UTC", root]);
}

/** Paths that differ between two descriptions. */
export function differingPaths(want: readonly TreeRecord[], got: readonly TreeRecord[]): string[] {
  const texts = (records: readonly TreeRecord[]) => new Map(records.map((one) => [one.path, JSON.stringify(one)]));
  const [left, right] = [texts(want), texts(got)];
  return [...new Set([...left.keys(), ...right.keys()])].filter((path) => left.get(path) !== right.get(path));
}
