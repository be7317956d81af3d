import * as v from "valibot";
import { INTERVALS } from "../domain/interval.ts";
import { Secret } from "../domain/secret.ts";
import { WEBHOOK_OCCASIONS } from "../export/options.ts";
import { COMPRESSORS } from "../modifier/options.ts";
import type { Findings } from "./findings.ts";
import { nearest } from "./nearest.ts";
import { splitShellWords } from "./shell-words.ts";

const BOOLEANS: Readonly<Record<string, boolean>> = {
  1: true,
  yes: true,
  true: true,
  on: true,
  0: false,
  no: false,
  false: false,
  off: false,
};

const KINDS = ["local", "ssh", "s3", "gcs", "az"] as const;

/** Before the path of a driver that the user brings. */
const MODULE = "module:";
const ENGINES = ["auto", "xtrabackup", "mariadb-backup", "clone"] as const;
const INCREMENT_BASES = ["full", "last"] as const;
const TRANSPORTS = ["datadog", "statsd", "prometheus"] as const;

function show(value: unknown): string {
  return value === "" ? "an empty value" : JSON.stringify(String(value).slice(0, 80));
}

const line = v.pipe(
  v.string(),
  v.check((text) => !text.includes("\n"), "the value goes on in the indented lines below it, it must be one line"),
);

const host = v.pipe(
  line,
  v.regex(/^[\p{L}\p{N}:_[][\p{L}\p{N}.:_%[\]-]*$/u, ({ input }) => `${show(input)} is not a host name or address`),
);

const user = v.pipe(
  line,
  v.regex(/^[\p{L}\p{N}_][\p{L}\p{N}._@\\-]*\$?$/u, ({ input }) => `${show(input)} is not a user name`),
);

const path = v.pipe(
  line,
  v.startsWith("/", ({ input }) => `${show(input)} is not an absolute path`),
);

const directory = v.pipe(
  path,
  v.transform((text) => text.replace(/(?<=.)\/+$/, "")),
);

const url = v.pipe(
  line,
  v.check(
    (text) => URL.canParse(text) && /^https?:\/\//i.test(text),
    // Not shown: a URL may hold a password.
    "the value is not a URL with http:// or https://",
  ),
);

const secret = v.pipe(
  line,
  v.transform((text) => new Secret(text)),
);

/** Those of chat services hold a token. */
const secretUrl = v.pipe(
  url,
  v.transform((text) => new Secret(text)),
);

/** The collector reads no other files. */
const textfile = v.pipe(
  path,
  v.endsWith(".prom", ({ input }) => `${show(input)} does not end in .prom, so it would not be read`),
);

/** A key of 256 bits in base64. */
const key256 = v.pipe(
  line,
  v.check(
    (text) => /^[A-Za-z0-9+/]{43}=$/.test(text),
    // Not shown: it is a secret.
    "the value is not 32 bytes in base64, as `openssl rand -base64 32` prints them",
  ),
  v.transform((text) => new Secret(text)),
);

const words = v.pipe(
  v.string(),
  v.rawTransform<string, readonly string[]>(({ dataset, addIssue, NEVER }) => {
    const split = splitShellWords(dataset.value);
    if ("words" in split) return split.words;
    addIssue({ message: `the list cannot be split: ${split.problem}` });
    return NEVER;
  }),
);

const paths = v.pipe(
  words,
  v.everyItem(
    (item) => item.startsWith("/"),
    ({ input }) => `${show(input.find((item) => !item.startsWith("/")))} is not an absolute path`,
  ),
);

const flag = v.pipe(
  line,
  v.check(
    (text) => Object.hasOwn(BOOLEANS, text.toLowerCase()),
    ({ input }) => `${show(input)} is neither yes nor no`,
  ),
  v.transform((text) => BOOLEANS[text.toLowerCase()] === true),
);

function integer(least: number, most = 1_000_000_000) {
  return v.pipe(
    line,
    v.regex(/^\s*[+-]?\d+(?:_\d+)*\s*$/, ({ input }) => `${show(input)} is not a whole number`),
    v.transform((text) => Number(text.replaceAll("_", ""))),
    v.minValue(least, ({ input }) => `${input} is too small, the least is ${least}`),
    v.maxValue(most, ({ input }) => `${input} is too large, the most is ${most}`),
  );
}

function choice<const T extends readonly string[]>(options: T) {
  const message = ({ input }: { input: unknown }) => {
    const close = nearest(String(input), options);
    return `${show(input)} is none of ${options.join(", ")}${close === undefined ? "" : `, did you mean "${close}"?`}`;
  };
  return v.pipe(line, v.picklist(options, message));
}

/** Where copies go: one of our kinds, or `module:` and the path of a driver. */
const destinationKind = v.pipe(
  line,
  v.check(
    (text) => text.startsWith(MODULE) || KINDS.some((kind) => kind === text),
    ({ input }) => {
      const close = nearest(input, [...KINDS, MODULE]);
      const meant = close === undefined ? "" : `, did you mean "${close}"?`;
      return `${show(input)} is none of ${KINDS.join(", ")} and module:/path/to/driver.mjs${meant}`;
    },
  ),
  v.check(
    (text) => !text.startsWith(MODULE) || text.startsWith(`${MODULE}/`),
    ({ input }) => `${show(input.slice(MODULE.length))} is not the absolute path of a driver`,
  ),
  v.transform((text) => {
    const kind = KINDS.find((known) => known === text);
    return kind === undefined ? ({ kind: "module", path: text.slice(MODULE.length) } as const) : ({ kind } as const);
  }),
);

/** A text for which an empty value means the same as no line at all. */
function given<const S extends v.GenericSchema<string | undefined, unknown>>(schema: S) {
  return v.pipe(
    v.optional(v.string(), ""),
    v.transform((text) => (text === "" ? undefined : text)),
    schema,
  );
}

function maybe<const S extends v.GenericSchema<string, unknown>>(schema: S) {
  return given(v.optional(schema));
}

const count = integer(0);
const port = integer(1, 65_535);
const yes = v.optional(flag, "yes");

const retention = v.object({
  hourly_copies: v.optional(count, "24"),
  daily_copies: v.optional(count, "7"),
  weekly_copies: v.optional(count, "4"),
  monthly_copies: v.optional(count, "12"),
  yearly_copies: v.optional(count, "3"),
});

/** Every key that this program or a manual of the predecessor names, with its meaning and default. */
const SECTIONS = {
  source: v.object({
    backup_dirs: given(v.optional(paths, "")),
    backup_mysql: v.optional(flag, "no"),
    tar_options: given(v.optional(words, "")),
    exclude_dirs: given(v.optional(paths, "")),
    hostname: maybe(line),
  }),
  destination: v.object({
    backup_destination: v.optional(destinationKind),
    keep_local_path: maybe(directory),
    remove_expired: v.optional(flag, "yes"),
  }),
  local: v.object({ backup_dir: maybe(directory) }),
  ssh: v.object({
    backup_host: given(v.optional(host, "127.0.0.1")),
    backup_dir: given(v.optional(directory, "/var/backup")),
    ssh_user: given(v.optional(user, "root")),
    ssh_key: given(v.optional(path, "/root/.ssh/id_rsa")),
    port: v.optional(port),
    ssh_port: v.optional(port),
    known_hosts: maybe(path),
    host_keys: v.optional(choice(["strict", "accept-new"]), "strict"),
  }),
  s3: v.object({
    aws_access_key_id: maybe(secret),
    aws_secret_access_key: maybe(secret),
    aws_default_region: given(v.optional(line, "us-east-1")),
    bucket: maybe(line),
    endpoint: maybe(url),
    force_path_style: v.optional(flag, "no"),
    profile: maybe(line),
    prefix: maybe(line),
    storage_class: maybe(line),
    sse: v.optional(choice(["AES256", "aws:kms", "customer"])),
    sse_kms_key_id: maybe(line),
    sse_customer_key: maybe(key256),
    object_lock_mode: v.optional(choice(["governance", "compliance"])),
    object_lock_days: v.optional(integer(1, 36_500)),
    checksums: v.optional(choice(["when_supported", "when_required"]), "when_supported"),
  }),
  gcs: v.object({
    gc_credentials_file: maybe(path),
    gcs_credentials_file: maybe(path),
    gc_encryption_key: maybe(key256),
    bucket: maybe(line),
    endpoint: maybe(url),
    prefix: maybe(line),
  }),
  az: v.object({
    connection_string: maybe(secret),
    container_name: maybe(line),
    chunk_size: v.optional(integer(1), String(4 * 1024 * 1024)),
    remote_path: given(v.optional(line, "/")),
  }),
  mysql: v.object({
    mysql_defaults_file: given(v.optional(path, "/root/.my.cnf")),
    full_backup: v.optional(choice(INTERVALS), "daily"),
    full_backup_days: v.optional(integer(1)),
    expire_log_days: v.optional(count, "7"),
    rotate_seconds: v.optional(count, "0"),
    binlog_spool: given(v.optional(directory, "/var/lib/twindb-backup/binlog")),
    binlog_spool_mb: v.optional(integer(1), "10240"),
    xtrabackup_binary: maybe(line),
    xbstream_binary: maybe(line),
    hostname: maybe(host),
    port: v.optional(port),
    socket: maybe(path),
    engine: v.optional(choice(ENGINES), "auto"),
    parallel: v.optional(integer(1)),
    incremental_from: v.optional(choice(INCREMENT_BASES), "full"),
    mask_secrets: v.optional(flag, "yes"),
    record_checksums: v.optional(flag, "no"),
    galera_wait: v.optional(count, "900"),
  }),
  compression: v.object({
    program: v.optional(choice(COMPRESSORS), "gzip"),
    threads: v.optional(integer(1)),
    level: v.optional(count),
  }),
  gpg: v.object({
    recipient: maybe(line),
    keyring: maybe(path),
    secret_keyring: maybe(path),
    homedir: maybe(path),
  }),
  retention,
  retention_local: retention,
  intervals: v.object({
    run_hourly: yes,
    run_daily: yes,
    run_weekly: yes,
    run_monthly: yes,
    run_yearly: yes,
  }),
  export: v.object({
    transport: v.optional(choice(TRANSPORTS)),
    app_key: maybe(secret),
    api_key: maybe(secret),
    statsd_host: maybe(host),
    statsd_port: v.optional(port),
    statsd_tags: v.optional(flag, "no"),
    textfile: given(v.optional(textfile, "/var/lib/node_exporter/textfile_collector/twindb_backup.prom")),
    webhook_url: maybe(secretUrl),
    webhook_on: v.optional(choice(WEBHOOK_OCCASIONS), "always"),
  }),
  run: v.object({
    idle_timeout: v.optional(count, "3600"),
    measures_log: given(v.optional(path, "/var/log/twindb-backup-measures.log")),
    pause_file: given(v.optional(path, "/var/lib/twindb-backup/paused.json")),
  }),
} as const;

/** Name of a section that means something. */
export type SectionName = keyof typeof SECTIONS;

/** All sections with typed values; those that the file lacks hold their defaults. */
export type Settings = { readonly [Name in SectionName]: v.InferOutput<(typeof SECTIONS)[Name]> };

/** Names of all sections that mean something. */
export const SECTION_NAMES = Object.keys(SECTIONS) as SectionName[];

/** The section of a user's own driver, whose keys only that driver knows. */
export const FREE_SECTION = "module";

/** The keys that mean something in a section. */
export function keysOf(section: SectionName): string[] {
  return Object.keys(SECTIONS[section].entries);
}

/** Texts of a section by key, as they stand in the file. */
export type Texts = Readonly<Record<string, string>>;

/**
 * Turn texts into typed values. What a value is not goes to `findings`; the value then counts as not given, so that
 * checks across sections can go on.
 */
export function readSettings(textsOf: (section: SectionName) => Texts, findings: Findings): Settings {
  const settings = SECTION_NAMES.map((name) => [name, readSection(name, textsOf(name), findings)] as const);
  return Object.fromEntries(settings) as Settings;
}

function readSection(name: SectionName, texts: Texts, findings: Findings): unknown {
  const { issues = [] } = v.safeParse(SECTIONS[name], texts);
  // In reverse, so that of several messages about one value the first stays.
  const wrong = new Map(issues.toReversed().map((issue) => [v.getDotPath(issue)?.split(".")[0] ?? "", issue.message]));
  for (const [key, message] of wrong) findings.problem(name, key, message);
  return v.parse(SECTIONS[name], Object.fromEntries(Object.entries(texts).filter(([key]) => !wrong.has(key))));
}
