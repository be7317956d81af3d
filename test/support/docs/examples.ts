import type { DocumentedHost } from "./host.ts";

/** The keys of all copies on the destination of a host, oldest first of each kind. */
export async function keysOn(host: DocumentedHost): Promise<string[]> {
  const { copies } = JSON.parse(await host.sh("twindb-backup ls --json")) as { copies: { key: string }[] };
  return copies.map(({ key }) => key);
}

/** Shell text with the newest copies that are there in place of those that a document names: `db1/daily/files/_etc-2026-11-21_00_05_01.tar.zst`, or COPY. */
async function asHere(host: DocumentedHost, text: string): Promise<string> {
  const keys = await keysOn(host);
  const newest = (start: string): string => {
    const key = keys.findLast((each) => each.startsWith(start));
    if (key === undefined) throw new Error(`there is no copy like ${start}… among ${keys.join(", ")}`);
    return key;
  };
  return text
    .replaceAll(/\b(db1\/\w+\/\w+\/\w+-)2026-11-21_\d\d_\d\d_\d\d\.[\w.]+/g, (_, start: string) => newest(start))
    .replaceAll(/\bCOPY\b(?!\.)/g, () => newest("db1/daily/files/_etc-"));
}

/** Run a block, with copies that are there in place of those it names. @returns what it printed. @throws when it fails, or says anything on stderr. */
export async function quietly(host: DocumentedHost, block: string): Promise<string> {
  const script = /2026-11-21_|\bCOPY\b/.test(block) ? await asHere(host, block) : block;
  const { exitCode, stdout, stderr } = await host.run(script);
  if (exitCode === 0 && stderr === "") return stdout;
  throw new Error(`${script}\nended with ${exitCode}:\n${stdout}${stderr}`);
}

/** The command of a line as it stands in a file of /etc/cron.d. */
export function cronCommand(line: string): string {
  const [, command] = /^(?:[\d*/,-]+ ){5}root (.+)\n$/.exec(line) ?? [];
  if (command === undefined) throw new Error(`no line of cron: ${line}`);
  return command;
}

/** A config with another line at the beginning of a section, which is added where it is missing. */
export function withLines(config: string, section: string, lines: readonly string[]): string {
  const head = `[${section}]\n`;
  return config.includes(head)
    ? config.replace(head, `${head}${lines.join("\n")}\n`)
    : `${config}\n${head}${lines.join("\n")}\n`;
}
