import type { Vendor } from "../domain/copy.ts";

/**
 * What the tools of physical copies note down in `backup-my.cnf` and a server has to know before it can read the data. Sizes of redo
 * logs and places of files are left out: the first belong to the machine of origin, and everything lies in the one directory now.
 */
const NEEDED = [
  "innodb_checksum_algorithm",
  "innodb_fast_checksum",
  "innodb_log_block_size",
  "innodb_log_checksums",
  "innodb_page_size",
  "innodb_undo_tablespaces",
] as const;

/** Files of the system tablespace, such as `ibdata1:12M;ibdata2:50M:autoextend`. */
const DATA_FILE = /^[^/:;]+:\d+[KMG]?(?::autoextend(?::max:\d+[KMG]?)?)?$/i;

/** What a private server is started with. Paths are absolute. */
export type Place = {
  readonly datadir: string;
  /** Private directory for its socket and temporary files. */
  readonly run: string;
  /** System user it changes to, as name or number; `undefined` stays who we are. */
  readonly user: string | undefined;
};

/** What a server is for that takes up what binary logs hold, rather than being looked at. */
export type Writing = {
  /** For its buffer pool. */
  readonly memoryBytes: number;
  /** Statements for its start. */
  readonly initFile: string;
};

/** Where a private server listens. */
export function socketIn(run: string): string {
  return `${run}/socket`;
}

/** Where it writes what it has to say. */
export function errorLogIn(run: string): string {
  return `${run}/error.log`;
}

/** What a data directory asks of its server. */
export type Tablespaces = {
  readonly options: readonly string[];
  /** Name of the first file of the system tablespace. */
  readonly systemFile: string;
};

/** Read the text of `backup-my.cnf`, which comes with the copy and is not trusted. */
export function readTablespaces(text: string): Tablespaces {
  const pairs = text.split("\n").map((line) => /^\s*([\w-]+)\s*=\s*(.*?)\s*$/.exec(line));
  const values = new Map(pairs.map((match) => [match?.[1]?.replaceAll("-", "_"), match?.[2] ?? ""]));
  const plain = NEEDED.flatMap((name) => {
    const value = values.get(name);
    return value !== undefined && /^\w+$/.test(value) ? [option(name, value)] : [];
  });
  // A file that lay elsewhere was copied under its own name.
  const files = (values.get("innodb_data_file_path") ?? "").split(";").map((file) => file.replace(/^.*\//, ""));
  if (!files.every((file) => DATA_FILE.test(file))) return { options: plain, systemFile: "ibdata1" };
  const systemFile = files[0]?.split(":")[0] ?? "";
  return { options: [...plain, option("innodb_data_file_path", files.join(";"))], systemFile };
}

function option(name: string, value: string): string {
  return `--loose-${name.replaceAll("_", "-")}=${value}`;
}

/** Arguments of a server that nobody but us reaches, that touches nothing outside of its data directory, and starts nothing by itself. */
export function serverArguments({ datadir, run, user }: Place, vendor: Vendor, tablespaces: Tablespaces): string[] {
  return [
    "--no-defaults",
    ...(user === undefined ? [] : [`--user=${user}`]),
    `--datadir=${datadir}`,
    `--socket=${socketIn(run)}`,
    `--pid-file=${run}/pid`,
    `--log-error=${errorLogIn(run)}`,
    `--tmpdir=${run}`,
    `--secure-file-priv=${run}`,
    "--skip-networking",
    "--skip-log-bin",
    "--max-connections=10",
    "--performance-schema=OFF",
    "--innodb-buffer-pool-load-at-startup=OFF",
    "--innodb-buffer-pool-dump-at-shutdown=OFF",
    "--loose-skip-slave-start",
    "--loose-skip-replica-start",
    "--loose-wsrep-on=OFF",
    "--loose-wsrep-provider=none",
    ...(vendor === "mariadb" ? [] : ["--loose-mysqlx=OFF", "--loose-persisted-globals-load=OFF"]),
    ...tablespaces.options,
  ];
}

/** Arguments of a server that is looked at. */
export const LOOKING: readonly string[] = [
  "--skip-grant-tables",
  "--event-scheduler=DISABLED",
  "--read-only",
  "--innodb-buffer-pool-size=64M",
];

/**
 * Arguments of a server that binary logs are replayed on. It makes GTIDs of none of its own statements and takes those that it is told. Its
 * log of changes reaches the disk once a second: what a killed run leaves is older by that, and whole.
 */
export function writingArguments({ memoryBytes, initFile }: Writing, vendor: Vendor): string[] {
  return [
    `--init-file=${initFile}`,
    // Events could not be made while it is DISABLED.
    "--event-scheduler=OFF",
    "--local-infile=ON",
    "--max-allowed-packet=1G",
    `--innodb-buffer-pool-size=${memoryBytes}`,
    "--innodb-flush-log-at-trx-commit=2",
    ...(vendor === "mariadb" ? [] : ["--loose-gtid-mode=OFF_PERMISSIVE"]),
  ];
}
