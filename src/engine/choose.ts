import type { MysqlCopy, Vendor } from "../domain/copy.ts";
import { type ServerFacts, seriesOf, versionNumbers } from "../domain/server.ts";
import type { ToolName } from "./tool.ts";

export type Server = Pick<ServerFacts, "vendor" | "version">;

/** What a copy says of how it was made. A copy of the predecessor only knows its vendor. */
export type CopyOrigin = Pick<MysqlCopy, "tool" | "toolVersion" | "vendor" | "serverVersion" | "format" | "key">;

/** A tool as far as it matters for the choice. */
export type Candidate = { readonly name: ToolName; readonly version: string };

/** What a copy needs to be prepared; any series will do where nobody knows it. */
export type Need = { readonly name: ToolName; readonly series: string | undefined };

const LABELS = { "mariadb-backup": "mariadb-backup", xtrabackup: "XtraBackup" } as const satisfies Record<
  ToolName,
  string
>;

/** Such as `XtraBackup 8.0`. */
export function labelOf({ name, series }: Need): string {
  return series === undefined ? LABELS[name] : `${LABELS[name]} ${series}`;
}

/** The series that a tool must have for a server: its own, but XtraBackup 2.4 for MySQL before 8.0 and MariaDB before 10.3. */
export function seriesFor(name: ToolName, serverVersion: string): string {
  const [major = 0] = versionNumbers(serverVersion);
  // There is no MySQL 10.
  return name === "xtrabackup" && (major < 8 || major === 10) ? "2.4" : seriesOf(serverVersion);
}

/** The tool that belongs to a vendor. */
export function toolOf(vendor: Vendor): ToolName {
  return vendor === "mariadb" ? "mariadb-backup" : "xtrabackup";
}

/** Why no version of a tool copies a server, as the end of a sentence; `undefined` where one does. */
export function neverFits(name: ToolName, { vendor, version }: Server): string | undefined {
  if (name === "mariadb-backup")
    return vendor === "mariadb" ? undefined : "it copies MariaDB only, the server is MySQL";
  const [major = 0, minor = 0] = versionNumbers(version);
  const isOld = major < 10 || (major === 10 && minor < 3);
  return vendor !== "mariadb" || isOld
    ? undefined
    : `XtraBackup copies no MariaDB from 10.3 on, the server is ${version}`;
}

/**
 * Why an installed tool must not copy a server. The tools do not notice themselves: mariadb-backup 10.11 ends with "completed OK!" on a
 * server 11.8.
 */
export function mismatch(tool: Candidate, server: Server): string | undefined {
  const never = neverFits(tool.name, server);
  if (never !== undefined) return never;
  const wanted = seriesFor(tool.name, server.version);
  if (seriesOf(tool.version) === wanted) return undefined;
  return `it is version ${tool.version}, the server ${server.version} needs ${labelOf({ name: tool.name, series: wanted })}`;
}

/** Whether the plugin for CLONE comes with a server. */
export function hasClone({ vendor, version }: Server): boolean {
  if (vendor === "mariadb") return false;
  const [major = 0, minor = 0, patch = 0] = versionNumbers(version);
  return major > 8 || (major === 8 && (minor > 0 || patch >= 17));
}

/** Whether a copy is an archive of a finished data directory, which no tool has to prepare. */
export function isClone({ tool, format, key }: CopyOrigin): boolean {
  if (tool !== undefined) return tool === "clone";
  return format === undefined ? /\.tar(?:\.[^/]*)?$/.test(key) : format === "tar";
}

/** What prepares a copy: the tool that took it, in the same series, for a newer one does not read the older one's redo log. */
export function needOf({ tool, toolVersion, vendor, serverVersion }: CopyOrigin): Need {
  const name = tool === "xtrabackup" || tool === "mariadb-backup" ? tool : toolOf(vendor);
  if (toolVersion !== undefined) return { name, series: seriesOf(toolVersion) };
  return { name, series: serverVersion === undefined ? undefined : seriesFor(name, serverVersion) };
}

export function canPrepare(tool: Candidate, need: Need): boolean {
  return tool.name === need.name && (need.series === undefined || seriesOf(tool.version) === need.series);
}

/** Names under which a tool may be installed, likeliest first; several versions may be there, such as `xtrabackup-8.0`. */
export function programNames({ name, series }: Need): string[] {
  const names = name === "xtrabackup" ? ["xtrabackup"] : ["mariadb-backup", "mariabackup"];
  const all = series === undefined && name === "xtrabackup" ? ["8.4", "8.0", "2.4"] : [series];
  return [...names, ...all.flatMap((each) => (each === undefined ? [] : [`${names[0]}-${each}`]))];
}

/** Names of the program that unpacks the streams of a tool, likeliest first. */
export function extractorNames(tool: ToolName, file: string): string[] {
  const plain = tool === "xtrabackup" ? "xbstream" : "mbstream";
  const base = file.slice(file.lastIndexOf("/") + 1);
  const beside = base.replace(/xtrabackup|mariadb-backup|mariabackup/, plain);
  return [...new Set([beside === base ? plain : beside, plain])];
}
