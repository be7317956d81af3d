import { posix } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { configFileTarget, serverDirectories } from "../../../src/domain/config-files.ts";

describe("configFileTarget()", () => {
  test.each([
    ["/etc/my.cnf", "_config/etc/my.cnf"],
    ["/etc//mysql/./conf.d/my name.cnf", "_config/etc/mysql/conf.d/my name.cnf"],
    ["//etc/my.cnf", "_config/etc/my.cnf"],
  ])("configFileTarget() puts %s below _config", (path, target) => {
    expect(configFileTarget(path)).toBe(target);
  });

  test.each(["etc/my.cnf", "", "/", "/etc/../../my.cnf", "/..", "/etc/my\0.cnf", "/etc/a\nb", `/${"x".repeat(300)}`])(
    "configFileTarget() refuses %j",
    (path) => {
      expect(configFileTarget(path)).toBeUndefined();
    },
  );

  test("configFileTarget() never leads outside, whatever a status says", () => {
    const words = fc.array(fc.constantFrom("..", ".", "", "etc", "my.cnf", "/", "\\", "\0", "%2e%2e"), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          words.map((each) => `/${each.join("/")}`),
        ),
        (path) => {
          const target = configFileTarget(path);
          if (target !== undefined) expect(posix.join("/restored", target)).toMatch(/^\/restored\/_config\/[^/]/);
        },
      ),
    );
  });
});

describe("serverDirectories()", () => {
  test("serverDirectories() reads the last value of each option, with dashes and quotes", () => {
    const config = new Map([
      ["/etc/my.cnf", "[mysqld]\ndatadir=/old\n# datadir=/commented\n datadir = '/data/mysql/'   # the big disk\n"],
      ["/etc/mysql/log.cnf", "[mysqld]\ninnodb-log-group-home-dir=/fast/log\ninnodb_undo_directory=./\n"],
    ]);
    const { datadir, elsewhere } = serverDirectories(config);
    expect(datadir).toBe("/data/mysql");
    expect([...elsewhere]).toEqual([["innodb_log_group_home_dir", "/fast/log"]]);
  });

  test("serverDirectories() tells nothing of what is not absolute, or the data directory itself", () => {
    const text = "datadir=data\ninnodb_data_home_dir=\n";
    expect(serverDirectories(new Map([["/etc/my.cnf", text]]))).toEqual({ datadir: undefined, elsewhere: new Map() });
    const same = "datadir=/var/lib/mysql\ninnodb_data_home_dir=/var/lib/mysql/\n";
    expect(serverDirectories(new Map([["/etc/my.cnf", same]])).elsewhere.size).toBe(0);
  });
});
