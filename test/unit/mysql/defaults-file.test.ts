import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type LoginOptions, loginOptions, readDefaultsFile } from "../../../src/mysql/defaults-file.ts";
import { type Option, parseOptionFile } from "../../../src/mysql/option-file.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "defaults-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function file(name: string, text: string, mode = 0o600): string {
  const path = join(root, name);
  writeFileSync(path, text, { mode });
  chmodSync(path, mode);
  return path;
}

function login(text: string): LoginOptions {
  return loginOptions(
    parseOptionFile(text, "/x.cnf").filter((line): line is Option => line.kind === "option"),
    "/x.cnf",
  );
}

test("loginOptions() reads all there is, and shows no password", () => {
  const options = login(
    "[client]\nuser=u\npassword=p#w\npassword='s3cret#'\nhost=db\nport=3307\nsocket=/s\nssl-ca=/ca\nssl_cert=/cert\nssl-key=/key\n",
  );
  expect(options).toMatchObject({ user: "u", host: "db", port: 3307, socket: "/s" });
  expect(options.tls).toEqual({ mode: "VERIFY_CA", ca: "/ca", cert: "/cert", key: "/key" });
  expect(options.password?.reveal()).toBe("s3cret#");
  expect(inspect(options) + JSON.stringify(options)).not.toContain("s3cret");
});

test("loginOptions() takes the last of several lines, and heeds the groups of the tools most", () => {
  expect(
    login("[client]\nuser=a\n[client-mariadb]\nuser=b\n[mysql]\nuser=c\nport=1\n[mysqld]\nport=2\n"),
  ).toMatchObject({
    user: "b",
    port: undefined,
  });
  expect(login("[xtrabackup]\nuser=x\nport=5\n[client]\nuser=a\nport=0\nhost=h\n")).toMatchObject({
    user: "x",
    port: 5,
    host: "h",
  });
});

test("loginOptions() takes empty values for none", () => {
  expect(login("[client]\nuser=\npassword=\npassword\nhost\nsocket=\n")).toMatchObject({
    user: undefined,
    password: undefined,
    host: undefined,
    socket: undefined,
  });
});

test.each([
  ["", "PREFERRED"],
  ["ssl", "REQUIRED"],
  ["ssl=1", "REQUIRED"],
  ["ssl=OFF", "DISABLED"],
  ["skip-ssl", "DISABLED"],
  ["disable-ssl", "DISABLED"],
  ["ssl\nssl-verify-server-cert", "VERIFY_IDENTITY"],
  ["ssl-verify-server-cert=0", "PREFERRED"],
  ["ssl-ca=/ca", "VERIFY_CA"],
  ["ssl-ca=/ca\nssl-mode=required", "REQUIRED"],
  ["ssl_mode=verify_identity", "VERIFY_IDENTITY"],
  ["ssl-mode=DISABLED\nssl", "DISABLED"],
])("loginOptions() understands %j", (lines, mode) => {
  expect(login(`[client]\n${lines}\n`).tls.mode).toBe(mode);
});

test.each(["port=x", "port=99999", "port=-1", "ssl-mode=maybe"])("loginOptions() refuses %s", (line) => {
  expect(() => login(`[client]\n${line}`)).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
});

test("readDefaultsFile() follows includes in their place, names in order, and only .cnf", async () => {
  mkdirSync(join(root, "d"));
  file("d/b.cnf", "[client]\nuser=b\nhost=b\n");
  file("d/a.cnf", "[client]\nuser=a\nsocket=/a\n");
  file("d/c.ini", "[client]\nuser=ini\n");
  const single = file("single.cnf", "[client]\nhost=single\n");
  const path = file(
    "main.cnf",
    `[client]\nuser=main\nport=9\n!includedir ${root}/d\nport=10\n!include ${single}\n!include /nowhere\n`,
  );
  expect(await readDefaultsFile(path)).toMatchObject({ user: "b", host: "single", port: 10, socket: "/a" });
});

test("readDefaultsFile() refuses a directory to include that is not there, as the clients do", async () => {
  const path = file("main.cnf", "[client]\n!includedir /nowhere\n");
  await expect(readDefaultsFile(path)).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.stringContaining("/nowhere"),
  });
});

test("readDefaultsFile() says that a file is missing, and where to name another", async () => {
  await expect(readDefaultsFile(join(root, "none"))).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: `Cannot read "${join(root, "none")}": there is no such file`,
    hint: expect.stringContaining("mysql_defaults_file"),
  });
});

test.each([0o620, 0o602, 0o666])("readDefaultsFile() refuses mode %o, of an included file too", async (mode) => {
  const path = file("open.cnf", "[client]\nuser=a\n", mode);
  const outer = file("outer.cnf", `!include ${path}\n`);
  for (const each of [path, outer]) {
    await expect(readDefaultsFile(each)).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      hint: `Run "chmod go-w ${path}".`,
    });
  }
});

test("readDefaultsFile() refuses a directory", async () => {
  await expect(readDefaultsFile(root)).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.stringContaining("not a file"),
  });
});
