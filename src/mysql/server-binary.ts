import type { Vendor } from "../domain/copy.ts";
import { BackupError } from "../domain/errors.ts";
import { versionNumbers } from "../domain/server.ts";
import { text } from "../lib/command.ts";
import { findProgram } from "../lib/programs.ts";

/** The data a server has to read. */
export type Wanted = {
  readonly vendor: Vendor;
  /** Version of the server it comes from, such as `10.11.14-MariaDB-log`; empty where nobody knows. */
  readonly serverVersion: string;
  /** Server to use instead of an installed one. */
  readonly binary?: string;
};

/** A server program on this host. */
type Found = { readonly file: string; readonly family: Family; readonly version: string };
type Family = "MariaDB" | "MySQL";

const CANDIDATES: Readonly<Record<Family, readonly string[]>> = {
  MariaDB: ["mariadbd", "mysqld", "/usr/libexec/mariadbd", "/usr/libexec/mysqld"],
  MySQL: ["mysqld", "/usr/libexec/mysqld"],
};

function familyOf(vendor: Vendor): Family {
  return vendor === "mariadb" ? "MariaDB" : "MySQL";
}

/** Whether a server reads data of another: the same family and major version, and not an older series, such as 8.0 for 8.4. */
export function canRead(server: Pick<Found, "family" | "version">, { vendor, serverVersion }: Wanted): boolean {
  if (server.family !== familyOf(vendor)) return false;
  const [major, series] = versionNumbers(serverVersion);
  const [ownMajor, ownSeries] = versionNumbers(server.version);
  if (major === undefined) return true;
  return ownMajor === major && (ownSeries ?? 0) >= (series ?? 0);
}

/** What `--version` says: `mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64`. */
export function readVersion(said: string): Omit<Found, "file"> | undefined {
  const version = /\bVer (\S+)/.exec(said)?.[1];
  return version === undefined ? undefined : { version, family: /mariadb/i.test(said) ? "MariaDB" : "MySQL" };
}

/**
 * Find a server on this host that can read the data. @returns its path.
 * @throws {BackupError} CONFIG_INVALID naming what is there and what is needed.
 */
export async function findServer(wanted: Wanted, signal: AbortSignal): Promise<string> {
  const family = familyOf(wanted.vendor);
  const names = wanted.binary === undefined ? CANDIDATES[family] : [wanted.binary];
  const files = new Set(names.map(findProgram).filter((file) => file !== undefined));
  const found: Found[] = [];
  for (const file of files) {
    const version = readVersion(await text({ file, args: ["--no-defaults", "--version"] }, { signal }));
    if (version === undefined) continue;
    if (canRead(version, wanted)) return file;
    found.push({ file, ...version });
  }
  throw refusal(wanted, names[0] ?? family, found);
}

function refusal(wanted: Wanted, name: string, found: readonly Found[]): BackupError {
  const family = familyOf(wanted.vendor);
  const series = versionNumbers(wanted.serverVersion).slice(0, 2).join(".");
  const [other] = found;
  const what = other === undefined ? "it is not installed" : `it is ${other.family} ${other.version}`;
  const needed = `${family} ${series}`.trim();
  const needs = `a copy of ${needed} needs that version, or a later one of the same major`;
  const message = `Cannot start "${other?.file ?? name}": ${what}, ${needs}`;
  return new BackupError("CONFIG_INVALID", message, {
    hint: `Install the server ${needed} on this host, or verify without starting one.`,
  });
}
