import { hostname } from "node:os";
import { Secret } from "../domain/secret.ts";
import { readConfigFile } from "./config-file.ts";
import { ConfigError, Findings } from "./findings.ts";
import { parseIni } from "./ini-text.ts";
import type { Config } from "./options.ts";
import { readSettings } from "./schema.ts";
import { configOf } from "./settings.ts";
import { findUnknown, freeTextsOf, textsOf } from "./texts.ts";

export { ConfigError } from "./findings.ts";
export type { Config } from "./options.ts";

/** A config that can be used, and what its owner should know all the same; one line per warning. */
export type LoadedConfig = { readonly config: Config; readonly warnings: readonly string[] };

/**
 * Read and check a config file. `uid` is the user who may own it besides root.
 * @throws {ConfigError} with every problem of the text, in file order.
 * @throws {BackupError} CONFIG_INVALID when the file cannot be read or cannot be trusted.
 */
export async function loadConfig(path: string, { uid }: { readonly uid: number }): Promise<LoadedConfig> {
  const { text, isReadableByOthers } = await readConfigFile(path, { uid });
  const { config, warnings, holdsSecret } = parseConfig(text, { path, hostname: hostname() });
  const named = warnings.map((warning) => `${path}: ${warning}`);
  if (!isReadableByOthers || !holdsSecret) return { config, warnings: named };
  const warning = `other users may read the secrets in ${path}, run "chmod 0600 ${path}"`;
  return { config, warnings: [...named, warning] };
}

/** A checked text. It may hold secrets of sections that the config has no use for. */
type ParsedConfig = LoadedConfig & { readonly holdsSecret: boolean };

/**
 * Check the text of a config file. `path` only names it; `hostname` is used when the text sets none.
 * @throws {ConfigError} with every problem, in file order.
 */
export function parseConfig(text: string, origin: { readonly path: string; readonly hostname: string }): ParsedConfig {
  const ini = parseIni(text);
  const findings = new Findings(ini);
  findUnknown(ini, findings);
  const settings = readSettings((section) => textsOf(ini, section, findings), findings);
  const config = configOf(settings, { ini, ...origin }, findings);
  if (findings.problems.length > 0) throw new ConfigError(origin.path, findings.problems);
  return {
    config,
    warnings: findings.warnings,
    holdsSecret: [...secretsIn(settings), ...secretsAmong(freeTextsOf(ini))].length > 0,
  };
}

/** Every secret of a config, for the filter that keeps them out of logs. */
export function secretsOf(config: Config): Secret[] {
  const { destination } = config;
  return [...secretsIn(config), ...(destination.kind === "module" ? secretsAmong(destination.settings) : [])];
}

/** Only a user's own driver knows which of its settings are secret: go by what the keys are called. */
function secretsAmong(texts: Readonly<Record<string, string>>): Secret[] {
  const secret = Object.entries(texts).filter(([key]) => /key|secret|token|passw|connection|credential/.test(key));
  return secret.map(([, text]) => new Secret(text));
}

function secretsIn(value: unknown): Secret[] {
  if (value instanceof Secret) return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(secretsIn) : [];
}
