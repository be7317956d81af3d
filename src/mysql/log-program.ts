import type { BinlogFlavour } from "../domain/binlog.ts";
import { BackupError } from "../domain/errors.ts";
import { text } from "../lib/command.ts";
import { findProgram } from "../lib/programs.ts";
import type { LoginOptions } from "./defaults-file.ts";
import type { ServerAddress } from "./server-address.ts";

const CANDIDATES: Readonly<Record<BinlogFlavour, readonly string[]>> = {
  mariadb: ["mariadb-binlog", "mysqlbinlog"],
  mysql: ["mysqlbinlog"],
};

/**
 * Find the program that speaks of binary logs with servers of one make; the other make's does not understand all of its events.
 * @returns its path.
 * @throws {BackupError} CONFIG_INVALID when it is not installed.
 */
export async function findLogProgram(flavour: BinlogFlavour, signal: AbortSignal): Promise<string> {
  const files = new Set(CANDIDATES[flavour].map(findProgram).filter((file) => file !== undefined));
  for (const file of files) {
    const said = await text({ file, args: ["--no-defaults", "--help"] }, { signal });
    if (/MariaDB/.test(said) === (flavour === "mariadb")) return file;
  }
  const [name = ""] = CANDIDATES[flavour];
  const make = flavour === "mariadb" ? "MariaDB" : "MySQL";
  throw new BackupError("CONFIG_INVALID", `Cannot run "${name}": the one of ${make} is not installed`, {
    hint: `Install the client programs of ${make} on this host.`,
  });
}

/**
 * The text of an option file that logs the server's own programs in where we got in.
 * @throws {BackupError} CONFIG_INVALID for a password that no option file can say.
 */
export function loginFile(login: LoginOptions, address: ServerAddress, flavour: BinlogFlavour): string {
  const { user, password, tls } = login;
  const place =
    address.kind === "socket"
      ? [["socket", address.path]]
      : [
          ["host", address.host],
          ["port", String(address.port)],
          ["protocol", "TCP"],
        ];
  const isTls = address.kind !== "socket" && tls.mode !== "DISABLED";
  const secure: readonly (readonly [string, string | undefined])[] = [
    ["ssl-ca", tls.ca],
    ["ssl-cert", tls.cert],
    ["ssl-key", tls.key],
    flavour === "mysql" ? ["ssl-mode", tls.mode] : ["ssl-verify-server-cert", verifies(tls.mode) ? "1" : "0"],
  ];
  const lines = [["user", user], ["password", password?.reveal()], ...place, ...(isTls ? secure : [])];
  const written = lines.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${quoted(value)}`]));
  return `[client]\n${written.join("\n")}\n`;
}

function verifies(mode: LoginOptions["tls"]["mode"]): boolean {
  return mode === "VERIFY_CA" || mode === "VERIFY_IDENTITY";
}

/** Quotes cannot be escaped: a value is put between those that it does not hold. */
function quoted(value: string): string {
  const quote = ['"', "'"].find((each) => !value.includes(each));
  if (quote !== undefined) return `${quote}${value.replaceAll("\\", "\\\\")}${quote}`;
  throw new BackupError(
    "CONFIG_INVALID",
    "Cannot pass the password on to the server's programs: it holds both quotes",
    {
      hint: "Give the user another password.",
    },
  );
}
