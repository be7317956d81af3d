import { describe, expect, test } from "vitest";
import { packetsOf, statsdExporter } from "../../../src/export/statsd.ts";
import { statsdLines } from "../../../src/export/statsd-lines.ts";
import { at } from "../../support/copies.ts";
import { failedReport, runReport } from "../../support/reports.ts";
import { readStatsd, StatsdServer } from "../../support/statsd.ts";

const { signal } = new AbortController();
const PLAIN = { timing: "ms", tags: false } as const;
const TAGGED = { timing: "g", tags: true } as const;

function valuesOf(lines: readonly string[]): Record<string, number> {
  return Object.fromEntries(readStatsd(lines.join("\n")).map(({ name, value }) => [name, value]));
}

describe("statsdLines()", () => {
  test("sends the times of the predecessor under their names, in seconds, as it did", () => {
    const lines = statsdLines(runReport(), PLAIN);
    expect(lines.slice(0, 2)).toEqual(["twindb.files.backup_time:12.346|ms", "twindb.mysql.backup_time:60|ms"]);
    const restore = { part: "mysql", seconds: 61, failures: [] } as const;
    const restored = runReport({ command: "restore", runType: undefined, parts: [restore], standing: undefined });
    expect(statsdLines(restored, PLAIN)).toEqual(["twindb.mysql.restore_time:61|ms", "twindb.mysql.failures:0|g"]);
  });

  test("sends no time of a part that failed, and how often it did", () => {
    const values = valuesOf(statsdLines(failedReport(), PLAIN));
    expect(values).toMatchObject({
      "twindb.files.backup_time": 12,
      "twindb.files.failures": 0,
      "twindb.mysql.failures": 1,
    });
    expect(values).not.toHaveProperty("twindb.mysql.backup_time");
  });

  test("sums what is on the destination by part, and takes the oldest of ages", () => {
    expect(valuesOf(statsdLines(runReport(), PLAIN))).toMatchObject({
      "twindb.files.copies": 3,
      "twindb.files.stored_bytes": 2107,
      "twindb.files.last_copy_bytes": 1107,
      "twindb.files.last_good_age": 10_800,
      "twindb.mysql.stored_bytes": 5000,
      "twindb.mysql.recoverable_from": at(5, 0, 30).getTime() / 1000,
      "twindb.mysql.recoverable_until": at(5, 2).getTime() / 1000,
      "twindb.mysql.gaps": 0,
      "twindb.binlog.lag": 3600,
    });
  });

  test("leaves out the age of a verify when one of several directories was never verified", () => {
    expect(valuesOf(statsdLines(runReport(), PLAIN))).not.toHaveProperty("twindb.files.last_verified_age");
    const tagged = readStatsd(statsdLines(runReport(), TAGGED).join("\n"));
    const ages = tagged.filter(({ name }) => name === "twindb.files.last_verified_age");
    expect(ages).toEqual([
      {
        name: "twindb.files.last_verified_age",
        value: at(5, 3).getTime() / 1000 - at(4, 1).getTime() / 1000,
        type: "g",
        tags: { backup_host: "db7", part: "files", directory: "/etc" },
      },
    ]);
  });

  test("says nothing in a tag that would end it", () => {
    const tags = readStatsd(statsdLines(runReport({ host: "a b|c,d#e\n" }), TAGGED).join("\n")).map(({ tags }) => tags);
    expect(new Set(tags.map((each) => each["backup_host"]))).toEqual(new Set(["a_b_c_d_e_"]));
    expect(tags.map((each) => each["directory"])).toContain('/srv/a_"b"\\c');
  });
});

test("packetsOf() fills packets that pass every network, and cuts no line", () => {
  const lines = Array.from(
    { length: 200 },
    (_, index) => `twindb.files.copies:${index}|g|#directory:${"ü".repeat(20)}`,
  );
  const packets = packetsOf([...lines, "x".repeat(2000)]);
  expect(packets.join("\n").split("\n")).toEqual([...lines, "x".repeat(2000)]);
  expect(packets.length).toBeLessThan(15);
  for (const packet of packets.slice(0, -1)) expect(Buffer.byteLength(packet)).toBeLessThanOrEqual(1400);
});

describe("statsdExporter()", () => {
  test("reaches a server, by its name", async () => {
    await using server = await StatsdServer.start();
    await statsdExporter({ transport: "statsd", host: "localhost", port: server.port, tags: true })
      .send(runReport(), { signal })
      .catch(async (error: unknown) => {
        // Its first address may be ::1, where this server is not.
        expect(error).toMatchObject({ code: "UNREACHABLE" });
        await statsdExporter({ transport: "statsd", host: "127.0.0.1", port: server.port, tags: true }).send(
          runReport(),
          { signal },
        );
      });
    await expect.poll(() => server.measures.length).toBe(statsdLines(runReport(), { timing: "ms", tags: true }).length);
    expect(server.measures[0]).toEqual({
      name: "twindb.files.backup_time",
      value: 12.346,
      type: "ms",
      tags: { backup_host: "db7", part: "files", run_type: "daily" },
    });
  });

  test("sends gauges to an agent of Datadog", async () => {
    await using server = await StatsdServer.start();
    await statsdExporter({ transport: "datadog", host: "127.0.0.1", port: server.port, keys: [] }).send(runReport(), {
      signal,
    });
    await expect.poll(() => server.measures.length).toBeGreaterThan(20);
    expect(new Set(server.measures.map(({ type }) => type))).toEqual(new Set(["g"]));
  });

  test("notices that nobody listens", async () => {
    const server = await StatsdServer.start();
    const { port } = server;
    await server[Symbol.asyncDispose]();
    const sending = statsdExporter({ transport: "statsd", host: "127.0.0.1", port, tags: false }).send(runReport(), {
      signal,
    });
    await expect(sending).rejects.toThrow(
      `Cannot send measures to statsd at "127.0.0.1:${port}": nothing listens there`,
    );
  });

  test("notices that a name has no address", async () => {
    const options = { transport: "statsd", host: "no-such-host.invalid", port: 8125, tags: false } as const;
    await expect(statsdExporter(options).send(runReport(), { signal })).rejects.toThrow(
      'Cannot send measures to statsd at "no-such-host.invalid:8125": it has no address',
    );
  });
});
