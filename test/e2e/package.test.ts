import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CleanHost, hasRelease, type Release } from "../support/clean-host.ts";
import { Pages } from "../support/docs/pages.ts";
import { writeOldPackage } from "../support/old-package.ts";

const HOME = new URL("../../", import.meta.url).pathname;
const SILENT = { status: 0, stdout: "", stderr: "" };
const INSTALL = "dpkg --install /packages/twindb-backup_*.deb";

let packages: string;

/** Make the packages of a checkout whose program is built, as if its last commit was of 21 November 2026. */
function build(checkout: string, output: string, env: Readonly<Record<string, string>> = {}): void {
  execFileSync(join(checkout, "packaging/build.sh"), [output], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { PATH: process.env["PATH"] ?? "", SOURCE_DATE_EPOCH: "1795219200", ...env },
  });
}

const pages = new Pages(import.meta.url);

/** The commands of a block of docs/installing.md, to be run beside the packages. */
function block(id: string): string {
  return `set -e; cd /packages\n${pages.take(id)}`;
}

function skips(release: Release): boolean {
  return !hasRelease(release) && process.env["REQUIRE"] === undefined;
}

beforeAll(() => {
  packages = mkdtempSync(join(tmpdir(), "twindb-packages-"));
  build(HOME, packages);
  writeOldPackage(packages, "old.deb", { isCareful: true });
  writeOldPackage(packages, "careless.deb", { isCareful: false });
});
afterAll(() => rmSync(packages, { recursive: true, force: true }));

/** Loads every part of the program, and with them all the libraries that they name. */
const LOAD_ALL = `
const parts = "/opt/twindb-backup/dist/parts/";
const names = (await import("node:fs")).readdirSync(parts).filter((name) => name !== "reader-thread.js");
for (const name of names) await import(parts + name);
await import("/opt/twindb-backup/dist/destination-contract.js");
console.log(names.length > 50);
`;

describe.each(["debian-12", "debian-13"] as const)("on a clean %s", (release) => {
  test.skipIf(skips(release))("it installs, backs up, restores, and leaves the copies when it is purged", async () => {
    await using host = await CleanHost.start(release, packages);
    expect(host.run("command -v node nodejs").status).toBe(1);
    expect(host.run(INSTALL)).toMatchObject({ status: 0, stderr: "" });
    expect(host.run("dpkg --verify twindb-backup; dpkg --audit")).toEqual(SILENT);
    expect(host.lines("stat -c '%a %U %n' /etc/twindb/twindb-backup.cfg /etc/cron.d/twindb-backup")).toEqual([
      "600 root /etc/twindb/twindb-backup.cfg",
      "644 root /etc/cron.d/twindb-backup",
    ]);
    expect(host.lines("cd / && twindb-backup --version; /usr/bin/twindb-backup check | grep -c ok")).toHaveLength(2);

    host.lines("mkdir /srv/data && echo hello > /srv/data/file");
    const said = host.lines("twindb-backup init --dst /var/backup/twindb --source /etc --source /srv/data");
    expect(said).toEqual([expect.stringContaining("Wrote /etc/twindb/twindb-backup.cfg.")]);
    expect(host.run("twindb-backup backup hourly")).toEqual(SILENT);
    host.lines("twindb-backup verify file all");
    host.lines(
      "copy=$(twindb-backup ls | grep -o 'db1/hourly/files/_srv.*') && twindb-backup restore file $copy --dst /r",
    );
    expect(host.run("diff -r /srv/data /r/srv/data")).toEqual(SILENT);
    const again = host.run("twindb-backup init");
    expect(again).toMatchObject({ status: 78, stderr: expect.stringContaining("the file exists") as string });

    host.lines("echo secret > /etc/twindb/gcs.json; rm /etc/cron.d/twindb-backup");
    const config = host.lines("cat /etc/twindb/twindb-backup.cfg");
    expect(host.run(INSTALL).stderr).toBe("");
    expect(host.lines("ls /etc/cron.d; cat /etc/twindb/twindb-backup.cfg")).toEqual(config);
    host.lines("echo '# mine' > /etc/cron.d/twindb-backup; dpkg --remove twindb-backup");
    expect(host.lines("ls /etc/cron.d; cat /etc/twindb/twindb-backup.cfg")).toEqual([
      "twindb-backup.removed",
      ...config,
    ]);
    expect(host.run(INSTALL).stderr).toBe("");
    expect(host.lines("cat /etc/cron.d/twindb-backup")).toEqual(["# mine"]);

    expect(host.run("dpkg --purge twindb-backup")).toMatchObject({ status: 0, stderr: "" });
    expect(host.lines("ls /etc/cron.d /etc/twindb")).toEqual(["/etc/cron.d:", "", "/etc/twindb:", "gcs.json"]);
    expect(host.lines("find / -xdev -name '*twindb*' -not -path '/packages/*' | sort")).toEqual([
      "/etc/twindb",
      "/var/backup/twindb",
    ]);
    expect(host.lines("ls /var/backup/twindb/db1/hourly/files")).toHaveLength(2);
  });

  test.skipIf(skips(release))("it holds all the libraries that the program loads", async () => {
    await using host = await CleanHost.start(release, packages);
    host.lines(INSTALL);
    const loaded = host.run(`/opt/twindb-backup/runtime/bin/node --input-type=module -e '${LOAD_ALL}'`);
    expect(loaded).toEqual({ status: 0, stdout: "true\n", stderr: "" });
    host.lines("umask 077; printf '[client]\\nuser=u\\nhost=127.0.0.1\\nport=1\\n' > my.cnf");
    host.lines(
      "sed -i 's/^backup_mysql = no/backup_mysql = yes/; s/^.mysql_defaults/mysql_defaults/; s/^#.mysql/[mysql/' /etc/twindb/*.cfg",
    );
    expect(host.run("mv my.cnf .my.cnf; twindb-backup check").stdout).toContain('Cannot connect to "u@127.0.0.1:1"');
  });
});

describe.skipIf(skips("debian-12"))("over the predecessor", () => {
  test.each(["old", "careless"])("it keeps config, cron file and copies, and asks nothing (%s)", async (name) => {
    await using host = await CleanHost.start("debian-12", packages);
    host.lines(`dpkg --install /packages/${name}.deb`);
    expect(host.lines("twindb-backup")).toEqual(["3.3.0"]);
    host.lines("echo '# mine' | tee -a /etc/twindb/twindb-backup.cfg >> /etc/cron.d/twindb-backup");
    host.lines(
      "mkdir /opt/twindb-backup/embedded/lib/__pycache__; touch /opt/twindb-backup/embedded/lib/__pycache__/x.pyc",
    );
    const before = host.lines("cat /etc/twindb/twindb-backup.cfg; echo; cat /etc/cron.d/twindb-backup");
    // Nobody answers a question there, and a question would fail.
    const installed = host.run(`${INSTALL} < /dev/null`);
    expect(installed).toMatchObject({ status: 0 });
    expect(installed.stdout).toContain("the config and the cron file of 3.3.0-1 are kept; run: twindb-backup check\n");
    expect(
      installed.stderr.replaceAll(/^dpkg: warning: unable to delete old directory .*: Directory not empty\n/gm, ""),
    ).toBe("");
    expect(host.lines("cat /etc/twindb/twindb-backup.cfg; echo; cat /etc/cron.d/twindb-backup")).toEqual(before);
    expect(host.lines("ls /opt/twindb-backup")).not.toContain("embedded");
    expect(host.run("twindb-backup backup daily")).toEqual(SILENT);
    expect(host.lines("twindb-backup ls | grep -c db1/daily/files")).toEqual(["1"]);
  });

  test("that was removed and not purged, it takes up what that left", async () => {
    await using host = await CleanHost.start("debian-12", packages);
    host.lines("dpkg --install /packages/old.deb; echo '# mine' >> /etc/twindb/twindb-backup.cfg");
    host.lines("dpkg --remove twindb-backup");
    expect(host.run(`${INSTALL} < /dev/null`)).toMatchObject({ status: 0, stderr: "" });
    expect(host.lines("tail -n 1 /etc/twindb/twindb-backup.cfg; cat /etc/cron.d/twindb-backup")).toEqual([
      "# mine",
      "@daily root twindb-backup backup daily",
    ]);
  });
});

describe.skipIf(skips("debian-12"))("a purge", () => {
  test("leaves a config that holds the key of copies, and the spool of binary logs", async () => {
    await using host = await CleanHost.start("debian-12", packages);
    host.lines(`${INSTALL}; printf '[s3]\nsse_customer_key = AAAA\n' >> /etc/twindb/twindb-backup.cfg`);
    host.lines("mkdir /var/lib/twindb-backup/binlog; touch /var/lib/twindb-backup/binlog/binlog.000007");
    const { stderr } = host.run("dpkg --purge twindb-backup");
    expect(stderr).toContain("twindb-backup.cfg stays: it holds the key of copies; remove it when they are gone\n");
    host.lines("grep sse_customer_key /etc/twindb/twindb-backup.cfg; ls /var/lib/twindb-backup/binlog/binlog.000007");
  });
});

/** Has cron run what it starts at a time of the day, and waits for its end, mail and all. */
const CRON = `
cron_at() {
  local library children
  library=$(echo /usr/lib/*/faketime/libfaketime.so.1)
  LD_PRELOAD=$library FAKETIME="@2026-11-21 $1:58" cron -f & cron=$!
  children=/proc/$cron/task/$cron/children
  until [ "$(cat /proc/$cron/comm)" = cron ]; do sleep 0.05; done
  until [ -n "$(cat $children)" ]; do sleep 0.05; done
  while [ -n "$(cat $children)" ]; do sleep 0.05; done
  kill $cron; wait $cron || true
}
`;

/** Takes mail as cron hands it over, instead of an MTA. */
const SENDMAIL = "#!/bin/sh\ncat > /mail.$$\n";

describe.skipIf(skips("debian-12"))("cron", () => {
  test("runs what the package installed; a good run sends nothing, a failed one tells what to do", async () => {
    await using host = await CleanHost.start("debian-12", packages);
    host.lines(`${INSTALL}; printf '${SENDMAIL}' > /usr/sbin/sendmail; chmod 755 /usr/sbin/sendmail`);
    host.lines("mkdir /srv/data; twindb-backup init --dst /var/backup/twindb --source /srv/data");
    host.lines(`${CRON} cron_at 00:34; cron_at 00:04`);
    expect(host.lines("twindb-backup ls | grep -o 'db1/[a-z]*/files'")).toEqual([
      "db1/hourly/files",
      "db1/daily/files",
    ]);
    expect(host.run("cat /mail.*").stdout).toBe("");

    host.lines(`mv /srv/data /srv/elsewhere; ${CRON} cron_at 00:34`);
    expect(host.lines("cat /mail.*").join("\n")).toMatchInlineSnapshot(`
      "From: root (Cron Daemon)
      To: root
      Subject: Cron <root@db1> twindb-backup backup hourly
      MIME-Version: 1.0
      Content-Type: text/plain; charset=UTF-8
      Content-Transfer-Encoding: 8bit
      X-Cron-Env: <PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin>
      X-Cron-Env: <SHELL=/bin/sh>
      X-Cron-Env: <HOME=/root>
      X-Cron-Env: <LOGNAME=root>

      twindb-backup: Cannot copy "/srv/data": there is no such file or directory. Correct backup_dirs under [source] in the config file."
    `);
  });
});

describe.skipIf(skips("debian-13"))("docs/installing.md", () => {
  test("the package, timers, and removal", async () => {
    await using host = await CleanHost.start("debian-13", packages);
    const install = block("docs/installing.md: The package 1");
    expect(install).toContain(pages.take("README.md: Install 1"));
    host.lines(install);
    expect(host.lines(block("docs/installing.md: The package 2"))).toContainEqual(
      expect.stringMatching(/^source +ok +\/etc$/),
    );
    expect(host.lines("find /etc/systemd -name '*twindb*'")).toEqual([]);
    // No systemd runs there that could start them.
    host.lines(block("docs/installing.md: Timers instead of cron 1").replace(" --now", ""));
    expect(host.lines("ls /etc/systemd/system/timers.target.wants | grep -c twindb-backup-")).toEqual(["5"]);
    host.lines(block("docs/installing.md: Removing 1"));
    expect(host.lines("ls /etc/twindb")).toEqual(["twindb-backup.cfg"]);
  });

  test("from the predecessor", async () => {
    await using host = await CleanHost.start("debian-13", packages);
    host.lines("dpkg --install /packages/old.deb");
    expect(host.lines(block("docs/installing.md: From the predecessor 1"))).toContainEqual(
      expect.stringMatching(/^config +ok +\/etc\/twindb\/twindb-backup.cfg$/),
    );
    host.lines("grep -q '@daily root' /etc/cron.d/twindb-backup");
  });

  test("other systems", async () => {
    await using host = await CleanHost.start("debian-13", packages);
    host.lines(block("docs/installing.md: Other systems 1"));
    expect(
      host.lines("twindb-backup init --dst /copies && twindb-backup backup daily && twindb-backup ls"),
    ).toHaveLength(3);
    host.lines(
      "cd /opt/twindb-backup-4.0.0 && ls etc/logrotate cron.d/* systemd/system/*.timer share/man/man1/*.gz share/doc",
    );
  });
});

test.skipIf(skips("debian-13"))("each block that is named for this test was run", () =>
  expect(pages.left()).toEqual([]),
);

test("the same commit gives the same bytes, wherever and whenever the package is made", () => {
  const checkout = mkdtempSync(join(tmpdir(), "twindb-elsewhere-"));
  try {
    for (const name of readdirSync(HOME).filter((each) => !["node_modules", "dist", "bin", ".git"].includes(each))) {
      cpSync(join(HOME, name), join(checkout, name), { recursive: true });
    }
    symlinkSync(join(HOME, "node_modules"), join(checkout, "node_modules"));
    const bundle = ["--config", ".rolldown.config.ts", "--log-level", "warn"];
    execFileSync(join(HOME, "node_modules/.bin/rolldown"), bundle, { cwd: checkout, stdio: "ignore" });
    mkdirSync(join(checkout, "dist/.cache"));
    execFileSync("chmod", ["-R", "go-rwx", checkout]);
    build(checkout, join(checkout, "again"), { TZ: "Asia/Tokyo", LANG: "C.UTF-8" });
    const names = readdirSync(join(checkout, "again")).sort();
    expect(names).toEqual([
      expect.stringMatching(/^twindb-backup-.*\.tar\.gz$/),
      expect.stringMatching(/^twindb-backup_.*\.deb$/),
    ]);
    for (const name of names) {
      const [one, other] = [packages, join(checkout, "again")].map((place) => readFileSync(join(place, name)));
      expect(`${name} ${one?.equals(other ?? Buffer.alloc(0))}`).toBe(`${name} true`);
    }
  } finally {
    rmSync(checkout, { recursive: true, force: true });
  }
});
