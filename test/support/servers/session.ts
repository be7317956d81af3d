import { createConnection, type RowDataPacket } from "mysql2/promise";
import type { Client, SqlValue } from "../../../src/mysql/client.ts";

/** A session over a socket with a server that asks for no password. */
export async function openSession(socketPath: string): Promise<Client> {
  const connection = await createConnection({
    socketPath,
    user: "root",
    typeCast: (field) => field.string("utf8") ?? undefined,
  });
  const rows = async (sql: string, values: readonly SqlValue[] = []) => {
    const [result] = await connection.query<RowDataPacket[]>(sql, [...values]);
    return Array.isArray(result) ? result : [];
  };
  return {
    target: socketPath,
    rows,
    value: async (sql, values) => Object.values((await rows(sql, values))[0] ?? {})[0] as string | undefined,
    [Symbol.asyncDispose]: () => connection.end(),
  };
}
