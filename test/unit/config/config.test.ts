import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { type Config, ConfigError, parseConfig, secretsOf } from "../../../src/config/config.ts";
import { Secret } from "../../../src/domain/secret.ts";

const GOLDEN = new URL("../../golden/config/", import.meta.url);
const SMALL = "[source]\n[destination]\nbackup_destination=local\n[local]\nbackup_dir=/b\n";

function parse(text: string): { config: Config; warnings: readonly string[] } {
  return parseConfig(text, { path: "/etc/x.cfg", hostname: "db7" });
}

function golden(path: string): string {
  return readFileSync(new URL(path, GOLDEN), "utf8");
}

function files(folder: string): string[] {
  return readdirSync(new URL(folder, GOLDEN)).sort();
}

function errorOf(text: string): ConfigError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("loaded");
}

describe("parseConfig() with the predecessor's file", () => {
  const { config, warnings } = parse(golden("predecessor.cfg"));

  test("means what it meant", () => {
    expect(config).toEqual({
      path: "/etc/x.cfg",
      hostname: "db7",
      source: {
        directories: ["/etc", "/root", "/home/with space", "/srv/it's", "/opt/back slash"],
        excludes: [],
        tarOptions: ["--exclude=/etc/cache", "--one-file-system"],
        mysql: true,
      },
      destination: {
        kind: "ssh",
        host: "10.0.0.7",
        port: 2222,
        user: "backup",
        directory: "/var/backup/db",
        keyFile: "/root/.ssh/backup key",
        knownHostsFile: undefined,
        hostKeys: "strict",
      },
      keepLocalPath: "/var/backup/local",
      removesExpired: true,
      compression: { program: "pigz", threads: 4, level: 6 },
      gpg: {
        recipient: "Backup <backup@example.com>",
        keyring: "/root/.gnupg/pubring.gpg",
        secretKeyring: "/root/.gnupg/secring.gpg",
        homedir: undefined,
      },
      retention: { hourly: 48, daily: 14, weekly: 8, monthly: 6, yearly: 2 },
      retentionLocal: { hourly: 1, daily: 1, weekly: 0, monthly: 0, yearly: 0 },
      intervals: { hourly: true, daily: true, weekly: true, monthly: false, yearly: false },
      ssh: {
        port: 2222,
        user: "backup",
        keyFile: "/root/.ssh/backup key",
        knownHostsFile: undefined,
        hostKeys: "strict",
      },
      mysql: {
        defaultsFile: "/etc/twindb/my.cnf",
        hostname: undefined,
        port: undefined,
        socket: undefined,
        engine: "auto",
        fullBackup: "weekly",
        fullBackupDays: undefined,
        expireLogDays: 14,
        incrementalFrom: "full",
        maskSecrets: true,
        recordChecksums: false,
        rotateSeconds: 0,
        binlogSpool: "/var/lib/twindb-backup/binlog",
        binlogSpoolBytes: 10 * 1024 ** 3,
        galeraWaitSeconds: 900,
        parallel: undefined,
        xtrabackupBinary: "/opt/percona/bin/xtrabackup",
        xbstreamBinary: "/opt/percona/bin/xbstream",
      },
      export: {
        metrics: { transport: "datadog", host: "localhost", port: 8125, keys: [expect.anything(), expect.anything()] },
        webhook: undefined,
      },
      run: {
        idleSeconds: 3600,
        measuresLog: "/var/log/twindb-backup-measures.log",
        pauseFile: "/var/lib/twindb-backup/paused.json",
      },
    });
  });

  test("warns of nothing", () => {
    expect(warnings).toEqual([]);
  });

  test("keeps every byte of its secrets, and quotes where they stayed", () => {
    expect(secretsOf(config).map((secret) => secret.reveal())).toEqual(["0app%key", '"quoted"']);
  });

  test.each([
    [
      "s3",
      {
        kind: "s3",
        bucket: "backups-of-db",
        region: "eu-west-1",
        credentials: { accessKeyId: "AKIAEXAMPLE", secretAccessKey: 'ab;c#d%e=f:g"h/+' },
        endpoint: undefined,
        forcePathStyle: false,
        profile: undefined,
        prefix: "",
        storageClass: undefined,
        sse: undefined,
        objectLock: undefined,
        checksums: "when_supported",
      },
    ],
    [
      "gcs",
      {
        kind: "gcs",
        bucket: "backups-of-db",
        credentialsFile: "/etc/twindb/gcs.json",
        encryptionKey: undefined,
        endpoint: undefined,
        prefix: "",
      },
    ],
    [
      "az",
      {
        kind: "az",
        connectionString:
          "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=k3y+/x==;EndpointSuffix=core.windows.net",
        container: "backups",
        chunkBytes: 4_194_304,
        remotePath: "backups/mysql/",
      },
    ],
  ])("loads with %s as the destination", (kind, expected) => {
    const text = golden("predecessor.cfg").replace("backup_destination=ssh", `backup_destination=${kind}`);
    const { config, warnings } = parse(text);
    const secrets = new Set(secretsOf(config));
    const revealed = (value: unknown): unknown =>
      [...secrets].find((secret) => secret === value)?.reveal() ??
      (typeof value === "object" && value !== null
        ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revealed(inner)]))
        : value);
    expect(revealed(config.destination)).toEqual(expected);
    expect(warnings).toEqual([]);
  });
});

test("parseConfig() fills in the documented defaults without a word", () => {
  const { config, warnings } = parse(`${SMALL}[mysql]\n`);
  expect(warnings).toEqual([]);
  expect(config).toMatchObject({
    source: { directories: [], excludes: [], tarOptions: [], mysql: false },
    compression: { program: "gzip", threads: undefined, level: 9 },
    retention: { hourly: 24, daily: 7, weekly: 4, monthly: 12, yearly: 3 },
    retentionLocal: { hourly: 24, daily: 7, weekly: 4, monthly: 12, yearly: 3 },
    intervals: { hourly: true, daily: true, weekly: true, monthly: true, yearly: true },
    mysql: { defaultsFile: "/root/.my.cnf", fullBackup: "daily", expireLogDays: 7 },
    run: {
      idleSeconds: 3600,
      measuresLog: "/var/log/twindb-backup-measures.log",
      pauseFile: "/var/lib/twindb-backup/paused.json",
    },
  });
  expect([config.gpg, config.export, config.keepLocalPath]).toEqual([undefined, undefined, undefined]);
  expect(parse(SMALL).config.mysql).toBeUndefined();
});

test("parseConfig() fills in the defaults of [ssh]", () => {
  expect(parse("[source]\n[destination]\nbackup_destination=ssh\n[ssh]\n").config.destination).toEqual({
    kind: "ssh",
    host: "127.0.0.1",
    port: 22,
    user: "root",
    directory: "/var/backup",
    keyFile: "/root/.ssh/id_rsa",
    knownHostsFile: undefined,
    hostKeys: "strict",
  });
});

test("parseConfig() understands the new keys", () => {
  const { config, warnings } = parse(`
[source]
backup_dirs = /etc
  /var/www
exclude_dirs = /etc/a "/etc/b c"
hostname = db-1.example.com
[destination]
backup_destination = ssh
[ssh]
known_hosts = /k
host_keys = accept-new
[gpg]
recipient = 0xAB
homedir = /g
[run]
idle_timeout = 0
measures_log = /m
pause_file = /p
`);
  expect(warnings).toEqual([]);
  expect(config).toMatchObject({
    hostname: "db-1.example.com",
    source: { directories: ["/etc", "/var/www"], excludes: ["/etc/a", "/etc/b c"] },
    destination: { knownHostsFile: "/k", hostKeys: "accept-new" },
    gpg: { recipient: "0xAB", homedir: "/g" },
    run: { idleSeconds: 0, measuresLog: "/m", pauseFile: "/p" },
  });
});

test.each([
  ["gzip", [1, 9], 9],
  ["pigz", [1, 9, 11], 9],
  ["bzip2", [1, 9], 9],
  ["lbzip2", [1, 9], 9],
  ["zstd", [1, 19], 3],
  ["xz", [0, 9], 6],
  ["lz4", [1, 12], 1],
  ["none", [], undefined],
])("parseConfig() knows the levels of %s", (program, levels, usual) => {
  const text = `${SMALL}[compression]\nprogram = ${program}\n`;
  expect(parse(text).config.compression).toEqual({ program, threads: undefined, level: usual });
  for (const level of levels) {
    expect(parse(`${text}level = ${level}\n`).config.compression.level).toBe(level);
  }
});

test.each(["1", "yes", "TRUE", "On"])("parseConfig() takes %s for yes", (word) => {
  expect(parse(`${SMALL}[intervals]\nrun_yearly=${word}\n`).config.intervals.yearly).toBe(true);
});

test.each(["0", "no", "FALSE", "Off"])("parseConfig() takes %s for no", (word) => {
  expect(parse(`${SMALL}[intervals]\nrun_yearly=${word}\n`).config.intervals.yearly).toBe(false);
});

test("parseConfig() takes numbers as the predecessor", () => {
  const { retention } = parse(`${SMALL}[retention]\nhourly_copies=+07\ndaily_copies=1_000\n`).config;
  expect(retention).toMatchObject({ hourly: 7, daily: 1000 });
});

test("parseConfig() lets sections inherit from [DEFAULT]", () => {
  const text = `[DEFAULT]\nroot = /srv\nport = 2022\n${SMALL.replace("/b", "%(root)s/b")}[ssh]\n`;
  const { config } = parse(text.replace("=local", "=ssh").replace("[ssh]", "[ssh]\nbackup_dir = %(root)s/b"));
  expect(config.destination).toMatchObject({ port: 2022, directory: "/srv/b" });
});

test("parseConfig() knows a key that its section refers to, in that section only", () => {
  const { config } = parse(SMALL.replace("backup_dir=/b", "root = /srv\nbackup_dir = %(root)s/b"));
  expect(config.destination).toMatchObject({ directory: "/srv/b" });
  const { problems } = errorOf(`${SMALL.replace("/b", "%(root)s/b")}root = /srv\n[run]\nroot = /srv\n`);
  expect(problems).toEqual(["line 8: [run] root: unknown key"]);
});

test("parseConfig() names the line of a bad value that a section inherits", () => {
  expect(errorOf(`${SMALL}[retention]\n[DEFAULT]\ndaily_copies = x\n`).problems).toEqual([
    'line 8: [retention] daily_copies: "x" is not a whole number',
  ]);
});

test("parseConfig() takes a secret with a lone % as it is", () => {
  const text = "[source]\n[destination]\nbackup_destination=az\n[az]\ncontainer_name=c\nconnection_string=a%b%\n";
  const { config, warnings } = parse(text);
  expect(secretsOf(config).map((secret) => secret.reveal())).toEqual(["a%b%"]);
  expect(warnings).toEqual([]);
});

describe("parseConfig() with a driver of the user's own", () => {
  const MODULE = "[source]\n[destination]\nbackup_destination = module:/etc/twindb/my driver.mjs\n";

  test("hands over its section as written, and hides what its keys call a secret", () => {
    const section = `[module]\nBucket = "b" ; c\nurl = %(x)s%%\nsecret_token = t0p%s\nmany =\n  a\n  b\npassword: hush\n`;
    const { config, warnings } = parse(`[DEFAULT]\nport = 22\n${MODULE}${section}`);
    expect(config.destination).toEqual({
      kind: "module",
      path: "/etc/twindb/my driver.mjs",
      settings: { bucket: '"b" ; c', url: "%(x)s%%", secret_token: "t0p%s", many: "\na\nb", password: "hush" },
    });
    expect(warnings).toEqual([]);
    expect(secretsOf(config).map((secret) => secret.reveal())).toEqual(["t0p%s", "hush"]);
  });

  test("needs no section, and hides nothing of a section that is not used", () => {
    expect(parse(MODULE).config.destination).toMatchObject({ kind: "module", settings: {} });
    expect(secretsOf(parse(`${SMALL}[module]\napi_key = kkkk\n`).config)).toEqual([]);
  });

  test("counts its secrets where others may read the file", () => {
    const origin = { path: "x", hostname: "db7" };
    expect(parseConfig(`${SMALL}[module]\napi_key = kkkk\n`, origin).holdsSecret).toBe(true);
    expect(parseConfig(`${SMALL}[module]\ndirectory = /d\n`, origin).holdsSecret).toBe(false);
  });
});

test("parseConfig() leaves expired copies to others when it is told to", () => {
  const text = SMALL.replace("=local\n", "=local\nremove_expired = no\n");
  expect(parse(text).config.removesExpired).toBe(false);
});

test("parseConfig() keeps the root directory a directory", () => {
  expect(parse(SMALL.replace("/b", "/")).config.destination).toMatchObject({ directory: "/" });
});

test("parseConfig() refuses a name of this host that cannot be a directory", () => {
  expect(() => parseConfig(SMALL, { path: "x", hostname: "a/b" })).toThrow(
    '[source] hostname: the name of this host cannot be a directory on the destination: it has a "/"',
  );
});

test("parseConfig() shows no secret in its result or its errors", () => {
  const shown = inspect(parse(golden("predecessor.cfg")), { depth: 9 });
  expect(shown).not.toMatch(/0app|quoted/);
  const broken = readdirSync(new URL("bad/", GOLDEN)).filter((name) => name.startsWith("s3-secret"));
  expect(broken).toHaveLength(2);
  for (const name of broken) expect(inspect(errorOf(golden(`bad/${name}`)))).not.toMatch(/SECRETREST|abc/);
});

test("ConfigError has the exit status of a config and one line per problem", () => {
  const error = errorOf(golden("bad/many.cfg"));
  expect(error.code).toBe("CONFIG_INVALID");
  expect(error.hint).toBe("Correct the config file.");
  expect(error.message.split("\n")).toHaveLength(error.problems.length + 1);
});

test("parseConfig() lists every problem of every bad file", async () => {
  const table = files("bad/").map(
    (file) => `== ${basename(file, ".cfg")}\n${errorOf(golden(`bad/${file}`)).message}\n`,
  );
  await expect(table.join("\n")).toMatchFileSnapshot(new URL("bad.txt", GOLDEN).pathname);
});

test("parseConfig() warns of what is odd", async () => {
  const table = files("odd/").map((file) =>
    [`== ${basename(file, ".cfg")}`, ...parse(golden(`odd/${file}`)).warnings, ""].join("\n"),
  );
  await expect(table.join("\n")).toMatchFileSnapshot(new URL("odd.txt", GOLDEN).pathname);
});

test("parseConfig() knows who is told of runs", () => {
  const exportOf = (lines: string) => parse(`${SMALL}\n[export]\n${lines}`).config.export;
  const [app_key, api_key] = ["app_key = a", "api_key = b"];
  expect(exportOf(`transport = datadog\n${app_key}\n${api_key}`)).toEqual({
    metrics: { transport: "datadog", host: "127.0.0.1", port: 8125, keys: [expect.any(Secret), expect.any(Secret)] },
    webhook: undefined,
  });
  expect(exportOf("transport = statsd\nstatsd_host = ::1\nstatsd_port = 9125\nstatsd_tags = yes")).toEqual({
    metrics: { transport: "statsd", host: "::1", port: 9125, tags: true },
    webhook: undefined,
  });
  expect(exportOf("transport = prometheus")?.metrics).toEqual({
    transport: "prometheus",
    textfile: "/var/lib/node_exporter/textfile_collector/twindb_backup.prom",
  });
  const alone = exportOf("webhook_url = https://hooks.example.com/T0/%%20\nwebhook_on = failure");
  expect(alone).toEqual({ metrics: undefined, webhook: { url: expect.any(Secret), on: "failure" } });
  expect(alone?.webhook?.url.reveal()).toBe("https://hooks.example.com/T0/%20");
  expect(exportOf("webhook_url = http://h/")?.webhook?.on).toBe("always");
});

test("parseConfig() copies a directory once that is named twice", () => {
  expect(parse(golden("odd/dirs-twice.cfg")).config.source.directories).toEqual(["/etc", "/root"]);
  expect(parse(golden("odd/dirs-same-name.cfg")).config.source.directories).toEqual(["/a/b", "/a_b"]);
});
