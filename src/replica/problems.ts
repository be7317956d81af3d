import { BackupError } from "../domain/errors.ts";
import { humanBytes } from "../domain/human.ts";
import { canRead, readVersion } from "../mysql/server-binary.ts";
import type { SourceFacts } from "./source-end.ts";

/** What was found on the host that is to become a replica. */
export type ReplicaFacts = {
  readonly name: string;
  /** Values by name, as `LOOK` prints them. */
  readonly found: ReadonlyMap<string, readonly string[]>;
  /** What the installed servers say of their version. */
  readonly servers: readonly string[];
};

/** What the command line says about the replica. */
export type ReplicaRequest = { readonly startCommand: string | undefined };

/** Room for what is written while the copy is prepared. */
const HEADROOM = 1.1;

/** Options that put a part of the data elsewhere. */
const DIRECTORIES = ["innodb_data_home_dir", "innodb_log_group_home_dir", "innodb_undo_directory", "aria_log_dir_path"];

function isOutside(path: string, datadir: string): boolean {
  return path.startsWith("/") && path.replace(/\/+$/, "") !== datadir && !path.startsWith(`${datadir}/`);
}

/** Base names of logs that the server keeps outside its data directory. */
export function logsElsewhere({ variables, datadir }: Pick<SourceFacts, "variables" | "datadir">): string[] {
  const logs = ["log_bin_basename", "relay_log_basename"].map((name) => variables.get(name) ?? "");
  return logs.filter((path) => isOutside(path, datadir));
}

/** What the source lacks for a replica to follow it. */
export function sourceProblems(facts: SourceFacts, name: string): BackupError[] {
  const { variables, datadir } = facts;
  const refuse = (what: string, hint: string) =>
    new BackupError("CONFIG_INVALID", `Cannot clone the server of "${name}": ${what}`, { hint });
  const problems: BackupError[] = [];
  if (variables.get("log_bin") !== "ON") {
    problems.push(refuse("it writes no binary log", "Set log_bin in its option file, and restart it."));
  }
  if (variables.get("server_id") === "0") {
    problems.push(refuse("its server_id is 0", "Set server_id in its option file, and restart it."));
  }
  const passesOn = variables.get("log_replica_updates") ?? variables.get("log_slave_updates");
  if (facts.isReplica && passesOn !== "ON") {
    problems.push(
      refuse(
        "it is a replica that does not pass on what it receives",
        "Clone from its own source, or set log_slave_updates.",
      ),
    );
  }
  if (variables.get("wsrep_on") === "ON") {
    problems.push(
      refuse(
        "it is a node of a cluster, which its config would have the clone join",
        "Add a node to the cluster instead, or restore a copy.",
      ),
    );
  }
  const outside = DIRECTORIES.find((option) => isOutside(variables.get(option) ?? "", datadir));
  if (outside !== undefined) {
    const what = `it keeps a part of its data elsewhere, ${outside} is ${variables.get(outside)}`;
    problems.push(refuse(what, "Restore a copy of it with --dst, and put that in place by hand."));
  }
  return problems;
}

/** What stands in the way on the host of the replica. */
export function replicaProblems(facts: ReplicaFacts, source: SourceFacts, request: ReplicaRequest): BackupError[] {
  return [
    ...occupied(facts, source),
    ...logProblems(facts),
    ...spaceProblems(facts, source),
    ...serverProblems(facts, source),
    ...startProblems(facts, request),
  ];
}

function first(facts: ReplicaFacts, key: string): string | undefined {
  return facts.found.get(key)?.[0];
}

function occupied(facts: ReplicaFacts, { datadir, variables }: SourceFacts): BackupError[] {
  const [pid, port] = [first(facts, "pid"), first(facts, "listening")];
  if (pid !== undefined || port !== undefined) {
    const what =
      pid === undefined ? `a program listens on port ${port}` : `a server runs on "${datadir}", with pid ${pid}`;
    return [
      new BackupError("USAGE", `Cannot clone to "${facts.name}": ${what}`, {
        hint: `Stop it first; the clone will listen on port ${variables.get("port")}.`,
      }),
    ];
  }
  const entries = facts.found.get("entry") ?? [];
  if (entries.length === 0) return [];
  return [
    new BackupError(
      "ALREADY_EXISTS",
      `Cannot clone to "${facts.name}": "${datadir}" is not empty, it holds ${entries.join(", ")}`,
      {
        hint: "Move its data out of the way.",
      },
    ),
  ];
}

function logProblems(facts: ReplicaFacts): BackupError[] {
  const refuse = (what: string, hint: string) =>
    new BackupError("USAGE", `Cannot clone to "${facts.name}": ${what}`, { hint });
  const missing = new Set(facts.found.get("nodir"));
  const left = facts.found.get("log") ?? [];
  return [
    ...[...missing].map((path) =>
      refuse(
        `the source keeps logs in "${path}", which is not there`,
        "Make the directory, and give it to the user of the server.",
      ),
    ),
    ...left.map((path) => refuse(`logs of another server are there, "${path}"`, "Move them out of the way.")),
  ];
}

function spaceProblems(facts: ReplicaFacts, { datadir, dataBytes = 0 }: SourceFacts): BackupError[] {
  const [blocks = 0, size = 0] = (first(facts, "free") ?? "").split(" ").map(Number);
  const [free, needed] = [blocks * size, Math.ceil(dataBytes * HEADROOM)];
  if (free >= needed) return [];
  const what = `${humanBytes(free)} are free for "${datadir}", ${humanBytes(needed)} are needed`;
  return [
    new BackupError("NO_SPACE", `Cannot clone to "${facts.name}": ${what}`, {
      hint: "Free that space, or add a larger disk.",
    }),
  ];
}

function serverProblems(facts: ReplicaFacts, { vendor, version }: SourceFacts): BackupError[] {
  const found = facts.servers.map(readVersion).filter((each) => each !== undefined);
  const problems: BackupError[] = [];
  if (!found.some((each) => canRead(each, { vendor, serverVersion: version }))) {
    const [other] = found;
    const there =
      other === undefined ? "no server is installed" : `the installed server is ${other.family} ${other.version}`;
    const what = `${there}, the source is ${version}`;
    problems.push(
      new BackupError("CONFIG_INVALID", `Cannot clone to "${facts.name}": ${what}`, {
        hint: "Install the version of the source there, or a later one of the same major.",
      }),
    );
  }
  if (first(facts, "user") === undefined) {
    const hint = "Install the server there, which brings the user.";
    problems.push(
      new BackupError("CONFIG_INVALID", `Cannot clone to "${facts.name}": there is no user "mysql"`, { hint }),
    );
  }
  return problems;
}

function startProblems(facts: ReplicaFacts, { startCommand }: ReplicaRequest): BackupError[] {
  if (startCommand !== undefined || first(facts, "unit") !== undefined) return [];
  return [
    new BackupError(
      "CONFIG_INVALID",
      `Cannot start a server on "${facts.name}": it has no unit mariadb, mysqld or mysql`,
      {
        hint: "Name the commands with --start-command and --stop-command.",
      },
    ),
  ];
}

/** All that stands in the way, as one error; the class is that of the first. */
export function together(problems: readonly BackupError[], what: string): BackupError | undefined {
  const [only] = problems;
  if (only === undefined || problems.length === 1) return only;
  const lines = problems.map(({ message, hint }) => `  ${message}.${hint === undefined ? "" : ` ${hint}`}`);
  return new BackupError(only.code, `Cannot ${what}: ${problems.length} things stand in the way\n${lines.join("\n")}`, {
    hint: "Nothing was changed on either host.",
  });
}
