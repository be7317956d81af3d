/** Who releases what, and when: `date` as RFC 2822 has it. */
type Release = { readonly version: string; readonly date: string; readonly maintainer: string };

/** The newest part of the project's changelog in Debian's form. */
export function debianChangelog(changelog: string, { version, date, maintainer }: Release): string {
  const newest = changelog.split(/^## /m)[1] ?? "";
  const entries = newest.split(/^- /m).slice(1);
  const lines = entries.map((entry) => `  * ${entry.trim().replaceAll(/\s*\n\s*/g, "\n    ")}`);
  return `twindb-backup (${version}) unstable; urgency=medium\n\n${lines.join("\n")}\n\n -- ${maintainer}  ${date}\n`;
}
