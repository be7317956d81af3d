import { randomBytes } from "node:crypto";
import { chown, writeFile } from "node:fs/promises";
import { join } from "node:path";

const ACCOUNT = "'twindb-replay'@'localhost'";

/** Statement that takes the account away again. It is also run before the account is made, for a run that was killed leaves it. */
export const DROP_ACCOUNT = `DROP USER IF EXISTS ${ACCOUNT}`;

/** How to log in to a private server that has accounts. */
export type PrivateAccount = {
  /** Option file, 0600, with the section `[client]`. */
  readonly defaultsFile: string;
  /** File of statements that make the account while the server starts. */
  readonly initFile: string;
};

type Where = {
  /** The server's own directory, where it may read. */
  readonly run: string;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** Directory of ours. */
  readonly outer: string;
};

/**
 * Lay out an account for one run of a server, with a password nobody knows. A server without accounts would refuse the statements about
 * accounts that a binary log holds.
 */
export async function makeAccount({ run, owner, outer }: Where): Promise<PrivateAccount> {
  // The end satisfies whoever wants one character of each kind.
  const password = `${randomBytes(24).toString("base64url")}.aA1`;
  const account = { defaultsFile: join(outer, "client.cnf"), initFile: join(run, "init.sql") };
  const statements = [
    DROP_ACCOUNT,
    `CREATE USER ${ACCOUNT} IDENTIFIED BY '${password}'`,
    `GRANT ALL PRIVILEGES ON *.* TO ${ACCOUNT} WITH GRANT OPTION`,
  ];
  await writeFile(account.initFile, statements.map((each) => `${each};\n`).join(""), { mode: 0o600 });
  if (owner !== undefined) await chown(account.initFile, owner.uid, owner.gid);
  await writeFile(account.defaultsFile, `[client]\nuser=twindb-replay\npassword=${password}\n`, { mode: 0o600 });
  return account;
}
