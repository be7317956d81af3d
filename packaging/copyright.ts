import { type Library, licenceTextOf, noticeOf } from "./libraries.ts";

const RULE = "-".repeat(78);

const OWN = `twindb-backup, https://github.com/twindb/backup

Licensed under the Apache License, Version 2.0. On Debian systems its text is in
/usr/share/common-licenses/Apache-2.0; it is in /opt/twindb-backup/LICENSE too.

The package brings a Node.js of its own. The licences of that, and of what is built
into it, stand in /opt/twindb-backup/runtime/LICENSE.

The libraries below are parts of the bundle in /opt/twindb-backup/dist, or lie beside
it in /opt/twindb-backup/node_modules.`;

/** The Apache licence is said once, but for what a library adds to it. */
function termsOf(library: Library): string {
  if (library.license === "Apache-2.0")
    return ["The same licence as above.", noticeOf(library) ?? ""].join("\n\n").trim();
  return licenceTextOf(library) ?? `The library states the licence ${library.license} and brings no text of it.`;
}

/** The copyright file of the package: the program's own licence, that of Node, and those of all libraries, direct or not. */
export function copyrightOf(libraries: readonly Library[]): string {
  const each = libraries.map(
    (library) => `${library.name} ${library.version}: ${library.license}\n\n${termsOf(library)}`,
  );
  return `${[OWN, ...each].join(`\n\n${RULE}\n`)}\n`;
}
