import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { run } from "../../../src/lib/command.ts";
import { openClient } from "../../../src/mysql/client.ts";
import { checkGrants, type GrantNeeds } from "../../../src/mysql/grants.ts";
import { readVersion } from "../../../src/mysql/server-facts.ts";
import { hasMariadb, type Mariadb, startMariadb } from "../../support/servers/mariadb.ts";

let server: Mariadb;
let needs: GrantNeeds;
const { signal } = new AbortController();

async function check(changes: Partial<GrantNeeds> = {}): Promise<unknown> {
  await using client = await openClient({ defaultsFile: join(server.root, "backup.cnf") }, { signal });
  return await checkGrants(client, { ...needs, ...changes }).then(
    () => "enough",
    (error: unknown) => error,
  );
}

describe.skipIf(!hasMariadb())("checkGrants()", () => {
  beforeAll(async () => {
    server = await startMariadb();
    const text = `[client]\nuser=backup\npassword=pw\nsocket=${server.socket}\n`;
    writeFileSync(join(server.root, "backup.cnf"), text, { mode: 0o600 });
    await server.sql("CREATE USER backup@localhost IDENTIFIED BY 'pw'");
    await using client = await openClient({ defaultsFile: join(server.root, "backup.cnf") }, { signal });
    needs = { engine: "mariadb-backup", ...(await readVersion(client)), galera: false };
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    await server.sql("DROP USER IF EXISTS backup@localhost; DROP ROLE IF EXISTS copier, reader");
    await server.sql("CREATE USER backup@localhost IDENTIFIED BY 'pw'");
  });

  test("names each missing privilege, and a statement that grants just these", async () => {
    await server.sql("GRANT PROCESS, SELECT ON *.* TO backup@localhost");
    const error = await check();
    expect(error).toMatchObject({
      code: "NOT_PERMITTED",
      message: `Cannot copy the server as "backup@${server.socket}": the user lacks RELOAD, LOCK TABLES, BINLOG MONITOR`,
    });
    const { hint = "" } = error as { hint?: string };
    await server.sql(/GRANT.*;/.exec(hint)?.[0] ?? "");
    expect(await check()).toBe("enough");
  });

  test("what it calls enough is enough for the tool", async () => {
    await server.sql("GRANT RELOAD, PROCESS, LOCK TABLES, REPLICATION CLIENT ON *.* TO backup@localhost");
    expect(await check()).toBe("enough");
    const [target, lsn] = [join(server.root, "target"), join(server.root, "lsn")];
    for (const directory of [target, lsn]) mkdirSync(directory);
    const args = [`--defaults-file=${join(server.root, "backup.cnf")}`, "--backup", "--stream=xbstream"];
    const command = { file: "mariadb-backup", args: [...args, `--target-dir=${target}`, `--extra-lsndir=${lsn}`] };
    let stderr = "";
    const stream = run(command, { signal, onFinish: (finished) => void (stderr = finished.stderr) });
    for await (const chunk of stream) expect(chunk.length).toBeGreaterThan(0);
    expect(stderr).toMatch(/completed OK!\s*$/);
  });

  test.each(["ALL PRIVILEGES", "SUPER, RELOAD, PROCESS, LOCK TABLES"])(
    "takes %s for enough, in a cluster too",
    async (granted) => {
      await server.sql(`GRANT ${granted} ON *.* TO backup@localhost`);
      expect(await check({ galera: true })).toBe("enough");
    },
  );

  test("counts what comes by the roles that are active, theirs included, and by no others", async () => {
    await server.sql(`
      CREATE ROLE copier; CREATE ROLE reader;
      GRANT RELOAD, PROCESS, LOCK TABLES ON *.* TO copier; GRANT BINLOG MONITOR ON *.* TO reader;
      GRANT reader TO copier; GRANT copier TO backup@localhost`);
    expect(await check()).toMatchObject({
      message: expect.stringContaining("RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR"),
    });
    await server.sql("SET DEFAULT ROLE copier FOR backup@localhost");
    expect(await check()).toBe("enough");
  });

  test("asks for SUPER in a cluster", async () => {
    await server.sql("GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR ON *.* TO backup@localhost");
    expect(await check()).toBe("enough");
    expect(await check({ galera: true })).toMatchObject({
      code: "NOT_PERMITTED",
      message: expect.stringMatching(/ lacks SUPER$/),
    });
  });
});
