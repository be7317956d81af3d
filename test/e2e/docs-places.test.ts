import { chmodSync, copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cronCommand, quietly, withLines } from "../support/docs/examples.ts";
import { DocumentedHost, hasHosts } from "../support/docs/host.ts";
import { Pages } from "../support/docs/pages.ts";
import { hasAzurite } from "../support/servers/azurite.ts";
import { hasFakeGcs } from "../support/servers/fake-gcs.ts";
import { hasSeaweed } from "../support/servers/seaweedfs.ts";
import { hasSshd } from "../support/servers/sshd.ts";
import { STORES, type Store } from "../support/stores.ts";

const pages = new Pages(import.meta.url);
const CONFIG = "/etc/twindb/twindb-backup.cfg";
const FIRST_COPIES = ["docs/quick-start.md: Then 1", "docs/quick-start.md: Then 2", "docs/quick-start.md: Then 3"].map(
  (id) => pages.take(id),
);
const CRON = pages.take("docs/quick-start.md: Then 5");

let host: DocumentedHost;

const quiet = (block: string): Promise<string> => quietly(host, block);

/** From the first check to the first restore, as the quick start says. */
async function takeFirstCopies(config: string): Promise<void> {
  host.write(CONFIG, config);
  const [check = "", copy = "", prove = ""] = FIRST_COPIES;
  expect(await quiet(check)).not.toContain(" failed ");
  expect(await quiet(copy)).toMatch(/db1\/daily\/files\/_etc-/);
  expect((await quiet(prove)).match(/^ok /gm)?.length).toBeGreaterThan(0);
  await quiet("diff -r --no-dereference restored/etc /etc; rm -r restored");
}

/** With directories that are small and hold still. */
async function startHost(network?: "outside"): Promise<void> {
  host = await DocumentedHost.start(network === undefined ? {} : { network });
  await host.sh("echo hello >/home/file");
}

describe.runIf(hasHosts() && hasSshd())("a directory, another host, a store of one's own", () => {
  beforeAll(() => startHost());
  afterAll(async () => host[Symbol.asyncDispose]());

  test("docs/quick-start.md: a directory of this host, and cron", async () => {
    await takeFirstCopies(pages.take("docs/quick-start.md: A directory of this host 1"));
    await quiet(CRON);
    const lines = readFileSync(host.path("/etc/cron.d/twindb-backup"), "utf8").match(/^[\d*].*\n/gm) ?? [];
    expect(lines.map(cronCommand)).toHaveLength(5);
  });

  test("docs/quick-start.md and drivers.md: a store of one's own", async () => {
    const config = pages.take("docs/quick-start.md: A store of your own 1");
    mkdirSync(host.path("/mnt/store"));
    const lay = (path: string) => {
      mkdirSync(host.path(path.replace("/driver.mjs", "")), { recursive: true });
      copyFileSync(new URL("../support/sample-driver.mjs", import.meta.url), host.path(path));
      chmodSync(host.path(path), 0o600);
    };
    lay("/etc/twindb/driver.mjs");
    await takeFirstCopies(config);
    // The other document has the driver elsewhere.
    lay("/etc/twindb-backup/driver.mjs");
    host.write(CONFIG, `[source]\nbackup_dirs = /etc\n${pages.take("docs/drivers.md: A destination of your own 1")}`);
    expect(await quiet("twindb-backup ls")).toContain("db1/daily/files/_etc-");
  });

  test("docs/quick-start.md: another host, over SSH", async () => {
    await using there = await startBackupHost();
    await there.sh(pages.take("docs/quick-start.md: Another host, over SSH 2"));
    await host.sh(pages.take("docs/quick-start.md: Another host, over SSH 3"));
    const key = readFileSync(host.path("/root/.ssh/id_ed25519.pub"), "utf8");
    there.write("/home/twindb/.ssh/authorized_keys", key);
    await there.sh("chown -R twindb: ~twindb/.ssh");
    await takeFirstCopies(pages.take("docs/quick-start.md: Another host, over SSH 1"));
  });

  test("docs/security.md: an account in a chroot without a shell", async () => {
    await using there = await startBackupHost();
    await there.sh(pages.take("docs/security.md: The account on a backup host 1"));
    there.write("/etc/ssh/sshd_config.d/twindb.conf", pages.take("docs/security.md: The account on a backup host 2"));
    await there.sh("systemctl reload ssh");
    await host.sh(`rm -f .ssh/known_hosts\n${pages.take("docs/security.md: The account on a backup host 3")}`);
    there.write("/etc/ssh/twindb_keys", readFileSync(host.path("/root/.ssh/twindb.pub"), "utf8"), 0o644);
    const section = pages.take("docs/security.md: The account on a backup host 4");
    host.write(CONFIG, `[source]\nbackup_dirs = /etc /home\n\n${section}`);
    await quiet("twindb-backup check --destination\ntwindb-backup backup daily\ntwindb-backup verify file latest");
    expect(await there.sh("ls /srv/db1/copies")).toBe("db1\n");
    const login = "timeout 10 ssh -i /root/.ssh/twindb -o BatchMode=yes twindb@backup.example.com";
    const shell = await host.run(`${login} id`);
    expect([shell.exitCode === 0, shell.stdout]).toEqual([false, "This service allows sftp connections only.\n"]);
    expect((await host.run(`${login} -N -o ExitOnForwardFailure=yes -R 9999:localhost:22`)).exitCode).toBe(255);
  });
});

/** A host beside, with an sshd as it comes. */
async function startBackupHost(): Promise<DocumentedHost> {
  const there = await DocumentedHost.start({ name: "backup.example.com", network: host });
  await there.sh(
    "rm -f /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; /usr/sbin/sshd -E /run/sshd.log -o ListenAddress=127.0.0.3; until [ -s /run/sshd.pid ]; do sleep 0.02; done",
  );
  return there;
}

/** A config with what names a server of the tests, and may use it, in place of the cloud's. */
function at(store: Store, config: string): string {
  const [section = "", settings = {}] = Object.entries(store.sections).find(([name]) => name !== "destination") ?? [];
  const lines = Object.entries(settings).filter(([key]) => key !== "bucket" && key !== "container_name");
  const own = lines.map(([key, value]) => `${key} = ${value}`);
  const names = new Set(lines.map(([key]) => key));
  const kept = config.split("\n").filter((line) => !names.has(line.split(" =")[0] ?? ""));
  return withLines(kept.join("\n"), section, own);
}

const CLOUDS = [
  {
    kind: "SeaweedFS",
    isThere: hasSeaweed,
    start: "docs/quick-start.md: S3, and servers that speak its protocol 1",
    more: "docs/object-storage.md: S3 1",
  },
  {
    kind: "fake-gcs-server",
    isThere: hasFakeGcs,
    start: "docs/quick-start.md: Google Cloud Storage 1",
    more: "docs/object-storage.md: Google Cloud Storage 1",
  },
  {
    kind: "Azurite",
    isThere: hasAzurite,
    start: "docs/quick-start.md: Azure Blob Storage 1",
    more: "docs/object-storage.md: Azure Blob Storage 1",
  },
] as const;

describe.runIf(hasHosts() && CLOUDS.every(({ isThere }) => isThere()))("stores of objects", () => {
  beforeAll(() => startHost("outside"));
  afterAll(async () => host[Symbol.asyncDispose]());

  /** What the document says of every kind of store. */
  async function tryMore(config: string): Promise<void> {
    expect(FIRST_COPIES[0]).toContain(pages.take("docs/object-storage.md: Object storage 1"));
    const writer = pages.take("docs/object-storage.md: A writer that cannot delete 2").split("\n").at(-2) ?? "";
    host.write(CONFIG, `[source]\nbackup_dirs = /etc\n\n${withLines(config, "destination", [writer])}`);
    await quiet("twindb-backup backup daily");
    await quiet(cronCommand(pages.take("docs/object-storage.md: A writer that cannot delete 3")));
    const url = (await quiet(pages.take("docs/object-storage.md: Handing a copy on 1"))).trim();
    const answer = await fetch(url);
    expect(answer.status).toBe(200);
    await answer.body?.cancel();
  }

  test.each(CLOUDS)("docs/quick-start.md and object-storage.md: $kind", async ({ kind, start, more }) => {
    const store = await (STORES.find(({ name }) => name === kind) as (typeof STORES)[number]).start();
    try {
      await takeFirstCopies(at(store, pages.take(start)));
      // Encryption at rest needs a key service that the test server lacks, and credentials a file that Google signed.
      const other = at(store, pages.take(more)).replace(/^(?:sse|gc_credentials_file) = .*\n/m, "");
      host.write(CONFIG, `[source]\nbackup_dirs = /etc\n\n${other}`);
      if (kind === "SeaweedFS") await tryMore(other);
      else await quiet("twindb-backup check");
    } finally {
      await store.stop();
    }
  });

  test("each block that is named for this test was run", () => expect(pages.left()).toEqual([]));
});
