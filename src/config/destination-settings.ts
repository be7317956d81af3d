import type { AzOptions, GcsOptions, S3Options, SshOptions } from "../destination/options.ts";
import { Secret } from "../domain/secret.ts";
import type { ExportOptions } from "../export/options.ts";
import type { Findings } from "./findings.ts";
import type { Config } from "./options.ts";
import type { Settings, Texts } from "./schema.ts";

/** Stands for what is missing after that was noted; such a config is refused in the end. */
const MISSING = "";
const NO_SECRET = new Secret(MISSING);

/** The sections that the file has, and what the one of a user's own driver says. */
type Sections = { readonly has: (name: string) => boolean; readonly free: Texts };

/** The destination that is chosen. What it lacks goes to `findings`. */
export function destinationOf(settings: Settings, sections: Sections, findings: Findings): Config["destination"] {
  const chosen = settings.destination.backup_destination;
  // A driver may need no settings.
  if (chosen?.kind === "module") return { ...chosen, settings: sections.free };
  if (chosen !== undefined) {
    if (!sections.has(chosen.kind)) {
      const text = `it is ${chosen.kind}, but there is no section [${chosen.kind}]`;
      findings.problem("destination", "backup_destination", text);
    }
    return optionsOf(chosen.kind, settings, findings);
  }
  if (!sections.has("destination")) findings.problem("destination", undefined, "the section is missing");
  const text = "it is missing, and must be local, ssh, s3, gcs, az or module:PATH";
  findings.missing("destination", "backup_destination", text);
  return { kind: "local", directory: MISSING };
}

type Kind = Exclude<Config["destination"]["kind"], "module">;

function optionsOf(kind: Kind, settings: Settings, findings: Findings): Config["destination"] {
  switch (kind) {
    case "local":
      return { kind, directory: needing("local", findings)("backup_dir", settings.local.backup_dir, MISSING) };
    case "ssh":
      return sshOptions(settings.ssh, findings);
    case "s3":
      return s3Options(settings.s3, findings);
    case "gcs":
      return gcsOptions(settings.gcs, findings);
    case "az":
      return azOptions(settings.az, findings);
    default:
      return kind satisfies never;
  }
}

/** Reads keys that a section must have; the third argument stands in for one that is missing. */
function needing(section: string, findings: Findings): <T>(key: string, value: T | undefined, instead: T) => T {
  return (key, value, instead) => {
    if (value !== undefined) return value;
    findings.missing(section, key, "it is missing");
    return instead;
  };
}

function sshOptions(ssh: Settings["ssh"], findings: Findings): SshOptions {
  if (ssh.ssh_port !== undefined) {
    if (ssh.port !== undefined && ssh.port !== ssh.ssh_port) {
      findings.problem("ssh", "ssh_port", `it is ${ssh.ssh_port}, but port is ${ssh.port}`);
    } else {
      findings.warning("ssh", "ssh_port", 'it is used, but some versions refuse it; write "port" instead');
    }
  }
  return {
    kind: "ssh",
    host: ssh.backup_host,
    port: ssh.port ?? ssh.ssh_port ?? 22,
    user: ssh.ssh_user,
    directory: ssh.backup_dir,
    keyFile: ssh.ssh_key,
    knownHostsFile: ssh.known_hosts,
    hostKeys: ssh.host_keys,
  };
}

function s3Options(s3: Settings["s3"], findings: Findings): S3Options {
  const { aws_access_key_id: accessKeyId, aws_secret_access_key: secretAccessKey } = s3;
  const isPair = (accessKeyId === undefined) === (secretAccessKey === undefined);
  if (!isPair) {
    const lacking = accessKeyId === undefined ? "aws_access_key_id" : "aws_secret_access_key";
    findings.missing("s3", lacking, "it is missing, both keys are needed or none");
  }
  return {
    kind: "s3",
    bucket: needing("s3", findings)("bucket", s3.bucket, MISSING),
    region: s3.aws_default_region,
    credentials: accessKeyId && secretAccessKey && { accessKeyId, secretAccessKey },
    endpoint: s3.endpoint,
    forcePathStyle: s3.force_path_style,
    profile: s3.profile,
    prefix: trimSlashes(s3.prefix),
    storageClass: s3.storage_class,
    sse: sseOf(s3, findings),
    objectLock: objectLockOf(s3, findings),
    checksums: s3.checksums,
  };
}

/** Encryption at rest, and the keys that go with its kinds only. */
function sseOf(s3: Settings["s3"], findings: Findings): S3Options["sse"] {
  const { sse, sse_kms_key_id: keyId, sse_customer_key: key } = s3;
  if (keyId !== undefined && sse !== "aws:kms") {
    findings.problem("s3", "sse_kms_key_id", "it means something with sse=aws:kms only");
  }
  if (key !== undefined && sse !== "customer") {
    findings.problem("s3", "sse_customer_key", "it means something with sse=customer only");
  }
  switch (sse) {
    case "AES256":
      return { kind: "s3" };
    case "aws:kms":
      return { kind: "kms", keyId };
    case "customer":
      return { kind: "customer", key: needing("s3", findings)("sse_customer_key", key, NO_SECRET) };
    case undefined:
      break;
  }
  return undefined;
}

function objectLockOf(s3: Settings["s3"], findings: Findings): S3Options["objectLock"] {
  const { object_lock_mode: mode, object_lock_days: days } = s3;
  if (mode === undefined) {
    if (days !== undefined) findings.missing("s3", "object_lock_mode", "it is missing, object_lock_days needs it");
    return undefined;
  }
  return { mode, days: needing("s3", findings)("object_lock_days", days, 1) };
}

function trimSlashes(text = ""): string {
  return text.replace(/^\/+|\/+$/g, "");
}

function gcsOptions(gcs: Settings["gcs"], findings: Findings): GcsOptions {
  return {
    kind: "gcs",
    bucket: needing("gcs", findings)("bucket", gcs.bucket, MISSING),
    credentialsFile: gcs.gc_credentials_file ?? gcs.gcs_credentials_file,
    encryptionKey: gcs.gc_encryption_key,
    endpoint: gcs.endpoint,
    prefix: trimSlashes(gcs.prefix),
  };
}

function azOptions(az: Settings["az"], findings: Findings): AzOptions {
  const need = needing("az", findings);
  return {
    kind: "az",
    connectionString: need("connection_string", az.connection_string, NO_SECRET),
    container: need("container_name", az.container_name, MISSING),
    chunkBytes: az.chunk_size,
    remotePath: az.remote_path,
  };
}

/** Who is told of runs. What is missing goes to `findings`. */
export function exportOf(settings: Settings["export"], findings: Findings): ExportOptions {
  const { webhook_url: url, webhook_on: on, ...rest } = settings;
  const isAsked = [rest.app_key, rest.api_key, rest.statsd_host, rest.statsd_port].some((value) => value !== undefined);
  if (rest.transport === undefined && (url === undefined || isAsked)) {
    findings.missing("export", "transport", "it is missing, and must be datadog, statsd or prometheus");
  }
  return { metrics: metricsOf(rest, findings), webhook: url && { url, on } };
}

type MetricsSettings = Omit<Settings["export"], "webhook_url" | "webhook_on">;

function metricsOf(settings: MetricsSettings, findings: Findings): ExportOptions["metrics"] {
  const { transport, statsd_host: host, statsd_port: port } = settings;
  switch (transport) {
    case "prometheus":
      return { transport, textfile: settings.textfile };
    case "datadog":
      // Where the libraries of Datadog look for the agent of this host.
      return { transport, host: host ?? "127.0.0.1", port: port ?? 8125, keys: keysOf(settings) };
    case "statsd": {
      const need = needing("export", findings);
      const address = { host: need("statsd_host", host, MISSING), port: need("statsd_port", port, 0) };
      return { transport, ...address, tags: settings.statsd_tags };
    }
    case undefined:
      return undefined;
  }
  return undefined;
}

function keysOf({ app_key, api_key }: MetricsSettings): Secret[] {
  return [app_key, api_key].filter((key) => key !== undefined);
}
