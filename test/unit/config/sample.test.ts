import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseConfig } from "../../../src/config/config.ts";
import { sampleConfig } from "../../../src/config/sample.ts";
import { INTERVALS } from "../../../src/domain/interval.ts";

const ORIGIN = { path: "/etc/twindb/twindb-backup.cfg", hostname: "db7" };

function packaged(path: string): string {
  return readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
}

/** The packaged file with every commented setting switched on. */
function everything(): string {
  return packaged("etc/twindb-backup.cfg").replaceAll(/^#(?=\[|[a-z0-9_]+ = )/gm, "");
}

test("sampleConfig() loads, and says what it was told", () => {
  const text = sampleConfig({ directory: "/mnt/my backup", sources: ["/etc", "/var/it's"], hostname: "db 100%" });
  const { config, warnings } = parseConfig(text, ORIGIN);
  expect(warnings).toEqual([]);
  expect(config).toMatchObject({
    hostname: "db 100%",
    source: { directories: ["/etc", "/var/it's"], mysql: false },
    destination: { kind: "local", directory: "/mnt/my backup" },
    compression: { program: "zstd" },
  });
});

test("sampleConfig() leaves the name of the host to the system", () => {
  const { config } = parseConfig(sampleConfig({ directory: "/b", sources: [] }), ORIGIN);
  expect(config.hostname).toBe("db7");
});

test("sampleConfig() can say any path", () => {
  const path = fc
    .string({ unit: "binary", minLength: 1, maxLength: 12 })
    .map((text) => `/${text.replaceAll(/\p{Cc}/gu, "")}`);
  const directory = path.filter((text) => !/["'/]$/.test(text));
  fc.assert(
    fc.property(directory, path, (directory, source) => {
      const { config } = parseConfig(sampleConfig({ directory, sources: [source, "/last"] }), ORIGIN);
      expect(config.destination).toEqual({ kind: "local", directory });
      expect(config.source.directories).toEqual([source, "/last"]);
    }),
  );
});

test("sampleConfig() refuses what a line cannot hold", () => {
  for (const directory of ["/a\nb", "/a\0b", '/a"']) {
    expect(() => sampleConfig({ directory, sources: [] })).toThrow(`Cannot write ${JSON.stringify(directory)}`);
  }
});

test("the packaged config loads without a word", () => {
  const { config, warnings } = parseConfig(packaged("etc/twindb-backup.cfg"), ORIGIN);
  expect(warnings).toEqual([]);
  expect(config.destination).toEqual({ kind: "local", directory: "/var/backup/twindb" });
  expect(config.source.directories).not.toEqual([]);
});

test.each(["local", "ssh", "s3", "gcs", "az", "module"])(
  "the packaged config loads with all its settings on, for %s",
  (kind) => {
    const named = kind === "module" ? "module:/etc/twindb/driver.mjs" : kind;
    const text = everything().replace("backup_destination = local", `backup_destination = ${named}`);
    const { config, warnings } = parseConfig(text, ORIGIN);
    expect(warnings).toEqual([]);
    expect(config.destination.kind).toBe(kind);
    expect([config.mysql, config.gpg, config.export, config.keepLocalPath]).not.toContain(undefined);
  },
);

test("the cron file starts every run type once, at a minute of its own", () => {
  const lines = packaged("cron.d/twindb-backup")
    .split("\n")
    .filter((line) => line.includes("twindb-backup backup "));
  const jobs = lines.map((line) => /^(\d+) .* root twindb-backup backup (\w+)$/.exec(line)?.slice(1) ?? line);
  expect(jobs.map(([, interval]) => interval)).toEqual(INTERVALS);
  expect(new Set(jobs.map(([minute]) => minute)).size).toBe(INTERVALS.length);
  expect(packaged("cron.d/twindb-backup")).toMatch(/\n$/);
});
