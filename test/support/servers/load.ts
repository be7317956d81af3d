import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Database } from "./database.ts";

const SYSTEM_SCHEMAS = "('mysql', 'information_schema', 'performance_schema', 'sys')";

const CHECKSUM = `
SET SESSION group_concat_max_len = 1000000000;
SELECT CONCAT('CHECKSUM TABLE ', GROUP_CONCAT(
    CONCAT('\`', REPLACE(table_schema, '\`', '\`\`'), '\`.\`', REPLACE(table_name, '\`', '\`\`'), '\`')
    ORDER BY table_schema, table_name))
  INTO @checksum FROM information_schema.tables
  WHERE table_type NOT LIKE '%VIEW' AND table_schema NOT IN ${SYSTEM_SCHEMAS};
SET @checksum = COALESCE(@checksum, 'DO 0');
PREPARE statement FROM @checksum;
EXECUTE statement;
`;

/** A checksum of the rows of every table that is not the server's own, by `schema.table`. */
export async function checksums({ sql }: Pick<Database, "sql">): Promise<ReadonlyMap<string, string>> {
  const lines = (await sql(CHECKSUM)).split("\n").filter(Boolean);
  return new Map(lines.map((line) => line.split("\t") as [string, string]));
}

/** A steady load of small transactions on the table `steady.log`, whose ids are 1, 2, 3 and so on. */
export type Writer = {
  /** The last id the server has committed, as it told the client; 0 before the first. */
  committed(): number;
  /** Wait until the server has committed more. @returns the last id. */
  more(count: number): Promise<number>;
  /** End the load. @returns the last id that was told. One more may be in the table. */
  stop(): Promise<number>;
};

const WRITE = `
CREATE DATABASE IF NOT EXISTS steady;
USE steady;
CREATE TABLE IF NOT EXISTS log (id INT NOT NULL PRIMARY KEY, payload VARBINARY(200), at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6));
DROP PROCEDURE IF EXISTS write_on;
DELIMITER //
CREATE PROCEDURE write_on() NOT DETERMINISTIC MODIFIES SQL DATA
BEGIN
  DECLARE last INT;
  SELECT COALESCE(MAX(id), 0) INTO last FROM log;
  LOOP
    SET last = last + 1;
    START TRANSACTION;
    INSERT INTO log (id, payload) VALUES (last, REPEAT(CHAR(65 + last MOD 26), 100));
    COMMIT;
    SELECT last;
    DO SLEEP(0.005);
  END LOOP;
END //
DELIMITER ;
CALL write_on();
`;

/** Start a load of about a hundred transactions a second; a process of its own. */
export async function startWriter({ root, client, defaultsFile, sql }: Database): Promise<Writer> {
  const path = join(root, `writer-${process.hrtime.bigint()}.log`);
  const log = openSync(path, "w");
  const args = [`--defaults-file=${defaultsFile}`, "--batch", "--skip-column-names", "--unbuffered"];
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", client, ...args], { stdio: ["pipe", log, log] });
  closeSync(log);
  child.stdin?.end(WRITE);
  // A line without its end may be cut short.
  const committed = () => Number(/(\d+)\n[^\n]*$/.exec(readFileSync(path, "utf8"))?.[1] ?? 0);
  const more = async (count: number) => {
    const enough = committed() + count;
    while (committed() < enough) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(readFileSync(path, "utf8").slice(-500));
      await pause(10);
    }
    return committed();
  };
  await more(1);
  const stop = async () => {
    await end(child);
    await untilDone(sql);
    return committed();
  };
  return { committed, more, stop };
}

/** Wait until the server has noticed that its client is gone; one that was killed itself has. */
async function untilDone(sql: Database["sql"]): Promise<void> {
  const sessions = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'steady'";
  while ((await sql(sessions).catch(() => "0")) !== "0") await pause(10);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}
