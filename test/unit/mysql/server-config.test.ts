import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { maskSecrets, readServerConfig } from "../../../src/mysql/server-config.ts";

let root: string;
const warnings: string[] = [];
const warn = (text: string) => void warnings.push(text);
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "config-"));
  warnings.length = 0;
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function file(name: string, text: string): string {
  writeFileSync(join(root, name), text);
  return join(root, name);
}

test("readServerConfig() follows includes, whether or not a directory ends in a slash, and knows a circle", async () => {
  mkdirSync(join(root, "conf.d"));
  mkdirSync(join(root, "more"));
  const main = file(
    "my.cnf",
    `[mysqld]\r\n!includedir ${root}/conf.d\r\n!include ${root}/one.cnf\n!includedir ${root}/nowhere\n!include /nowhere\n`,
  );
  const one = file("one.cnf", `!include ${root}/my.cnf\n#!include ${root}/commented.cnf\n!includedir more/\n`);
  file("commented.cnf", "x");
  const b = file("conf.d/b.cnf", "é=1");
  const a = file("conf.d/a.cnf", "");
  file("conf.d/c.ini", "[x]");
  file("conf.d/d.cnf~", "[x]");
  const more = file("more/m.cnf", "[mysqld]\n");
  const texts = await readServerConfig({ roots: [main, join(root, "none.cnf")], warn });
  expect([...texts.keys()]).toEqual([main, a, b, one, more]);
  expect(texts.get(main)).toContain("\r\n!includedir");
  expect(texts.get(b)).toBe("é=1");
  expect(warnings).toEqual([]);
});

test("readServerConfig() ends where directories lead into themselves", async () => {
  mkdirSync(join(root, "d"));
  symlinkSync(".", join(root, "d", "again"));
  const main = file("my.cnf", "!includedir d\n");
  const loop = file("d/a.cnf", "!includedir again\n");
  const texts = await readServerConfig({ roots: [main], warn });
  expect([...texts.keys()].slice(0, 2)).toEqual([main, loop]);
  expect(texts.size).toBeLessThan(20);
});

test("readServerConfig() warns of what cannot be kept, and keeps the rest", async () => {
  const large = file("large.cnf", "#".repeat(1024 * 1024 + 1));
  mkdirSync(join(root, "directory.cnf"));
  const main = file("my.cnf", `!include ${large}\n!include ${root}/directory.cnf\n!includedir ${large}\n`);
  const texts = await readServerConfig({ roots: [main], warn });
  expect([...texts.keys()]).toEqual([main]);
  expect(warnings).toEqual([
    expect.stringContaining("larger than 1 MiB"),
    expect.stringContaining("not a file"),
    expect.stringContaining("not a directory"),
  ]);
});

test.each([
  ["password=s3cret", "password=***"],
  ['password = "a # b" # comment\r', "password = ***\r"],
  ["  wsrep_sst_auth=sst:pw", "  wsrep_sst_auth=***"],
  ["#master-password = pw", "#master-password = ***"],
  ["loose-aws_secret_access_key=AKIA/x=", "loose-aws_secret_access_key=***"],
  ["hashicorp-key-management-token=x", "hashicorp-key-management-token=***"],
  ["file_key_management_filekey=FILE:/x", "file_key_management_filekey=***"],
  ["authentication_ldap_simple_bind_root_pwd=x", "authentication_ldap_simple_bind_root_pwd=***"],
  ["password2=x", "password2=***"],
  ["MASTER_PASSWORD=x", "MASTER_PASSWORD=***"],
  ["init_connect=\"CREATE USER a IDENTIFIED BY 'x'\"", "init_connect=***"],
  ["report_password=a=b", "report_password=***"],
])("maskSecrets() of %j", (line, masked) => {
  const around = (text: string) => `[mysqld]\r\nport = 1 # x\n${text}\n\tssl-key=/k`;
  expect(maskSecrets(around(line))).toBe(around(masked));
});

test.each([
  "ssl-key=/etc/mysql/key.pem",
  "tls_key = /k",
  "key_buffer_size=16M",
  "caching_sha2_password_public_key_path=/k",
  "default_authentication_plugin=mysql_native_password",
  "mysql_native_password=ON",
  "disconnect_on_expired_password=1",
  "default_password_lifetime=90",
  "validate_password.policy=LOW",
  "secure_auth=1",
  "skip-secure-auth=1",
  "old_passwords=0",
  "password",
  "password=",
  "# The password = something",
  "wsrep_sst_method=mariabackup",
  "foreign_key_checks=1",
  "[password]",
])("maskSecrets() leaves %j as it is", (line) => {
  expect(maskSecrets(line)).toBe(line);
});
