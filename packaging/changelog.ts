const MAINTAINER = "TwinDB Development Team <dev@twindb.com>";

/** The newest part of the project's changelog in Debian's form; `date` as RFC 2822 has it. */
export function debianChangelog(changelog: string, { version, date }: { version: string; date: string }): string {
  const newest = changelog.split(/^## /m)[1] ?? "";
  const entries = newest.split(/^- /m).slice(1);
  const lines = entries.map((entry) => `  * ${entry.trim().replaceAll(/\s*\n\s*/g, "\n    ")}`);
  return `twindb-backup (${version}) unstable; urgency=medium\n\n${lines.join("\n")}\n\n -- ${MAINTAINER}  ${date}\n`;
}
