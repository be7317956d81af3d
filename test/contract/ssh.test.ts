import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { openSsh } from "../../src/destination/ssh.ts";
import type { SshTuning } from "../../src/destination/ssh-connection.ts";
import { lockName, machineId } from "../../src/destination/temporary-name.ts";
import { toKey } from "../../src/domain/key.ts";
import { hasSshd, type Sshd, type SshdOptions, startSshd } from "../support/servers/sshd.ts";
import { destinationContract } from "./destination.ts";
import type { Leftover, Opened } from "./leftovers.ts";

type Case = {
  readonly name: string;
  readonly server: SshdOptions;
  readonly tuning: SshTuning;
  readonly manyObjects: number;
};

const NO_EXTENSIONS = "posix-rename,hardlink,fsync,statvfs";

const CASES: readonly Case[] = [
  // Each put starts a program here or there, so the big listing is smaller where it does.
  { name: "ssh program", server: {}, tuning: { transport: "ssh program" }, manyObjects: 40 },
  { name: "sftp", server: {}, tuning: { transport: "sftp" }, manyObjects: 100 },
  { name: "sftp-only account", server: { lines: ["ForceCommand internal-sftp"] }, tuning: {}, manyObjects: 1100 },
  { name: "no extensions", server: { withoutSftp: NO_EXTENSIONS }, tuning: { transport: "sftp" }, manyObjects: 24 },
  {
    name: "sftp-only account without extensions",
    server: { lines: [`ForceCommand internal-sftp -P ${NO_EXTENSIONS}`] },
    tuning: {},
    manyObjects: 100,
  },
];

function plant(directory: string, { host, kind, owner, ageHours }: Leftover): void {
  const pid = owner === "dead" ? spawnSync("true").pid : process.ppid;
  const machine = owner === "another machine" ? "0123456789ab" : machineId();
  const name = `${machine}-${pid}-${randomBytes(8).toString("hex")}`;
  const isLock = kind === "lock";
  const path = join(directory, host, ".partial", isLock ? lockName(toKey(`${host}/status`)) : name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, isLock ? JSON.stringify({ owner: name, since: new Date().toISOString() }) : "half a copy");
  const then = new Date(Date.now() - ageHours * 3_600_000);
  utimesSync(path, then, then);
}

describe.skipIf(!hasSshd()).each(CASES)("$name", ({ name, server, tuning, manyObjects }) => {
  let sshd: Sshd;
  let count = 0;

  beforeAll(async () => {
    sshd = await startSshd(server);
  });
  afterAll(() => sshd.stop());

  async function open(): Promise<Opened> {
    const { port, user, keyFile, knownHostsFile } = sshd;
    const directory = join(sshd.root, `store ${++count}`);
    const another = () =>
      openSsh(
        { kind: "ssh", host: "127.0.0.1", port, user, keyFile, knownHostsFile, directory, hostKeys: "strict" },
        tuning,
      );
    return {
      destination: await another(),
      another,
      plant: async (leftover) => plant(directory, leftover),
      cleanup: async () => rmSync(directory, { recursive: true, force: true }),
    };
  }

  destinationContract(`SshDestination (${name})`, open, { manyObjects });
});
