/**
 * What tools are known to say, and what to do about it; `$1` is what was captured. The first that fits counts: causes stand before
 * their consequences.
 */
const KNOWN: readonly { readonly said: RegExp; readonly advice: string }[] = [
  {
    said: /Access denied for user|using password: (?:YES|NO)/,
    advice: "Correct user and password in the option file that mysql_defaults_file under [mysql] names.",
  },
  {
    said: /missing required privilege ([A-Z_ ]+) on|need \(at least one of\) the ([A-Z_, ]+) privilege|\b([A-Z]+) command denied to user/,
    advice: "Grant $1 to the user of the option file that mysql_defaults_file under [mysql] names.",
  },
  {
    said: /[Aa]uthentication plugin .* cannot be loaded|Authentication requires secure connection/,
    advice: "Connect through the socket of the server, or use an account whose authentication plugin the tool knows.",
  },
  {
    said: /Failed to connect to (?:MySQL|MariaDB) server|Can't connect to (?:local )?(?:MySQL |MariaDB )?server/,
    advice: "Start the server, or correct hostname, port and socket under [mysql].",
  },
  {
    said: /unknown (?:variable|option) ['"]/,
    advice: "Remove the option from the option file, or correct it.",
  },
  {
    said: /Unsupported server version|Please upgrade PXB|Unsupported redo log format|cannot process redo log before|was created with M\w+ \d/,
    advice: "Install the version of the tool that belongs to the version of the server.",
  },
  {
    said: /log block numbers mismatch|log has wrapped around|exceeds the log capacity|Was only able to copy log from/i,
    advice: "Make the redo log of the server larger, or take copies when less is written.",
  },
  {
    said: /optimized \(without redo ?logging\) DDL ?operation|DDL has been executed|ALTER TABLE or OPTIMIZE TABLE/i,
    advice: "Run the backup again when no table is being altered.",
  },
  {
    said: /Too many open files|[Ee]rrcode: 24\b|OS errno 24\b|error number 24\b/,
    advice:
      "Raise the limit of open files of this program above the number of tables, or set open_files_limit in the option file.",
  },
  {
    said: /No space left on device|[Ee]rrcode: 28\b|OS errno 28\b|error number 28\b/,
    advice: "Make room where temporary files go; TMPDIR names another place.",
  },
  {
    said: /(?:Can't|Cannot|cannot|Failed to) (?:change dir|chdir|my_setwd|open (?:directory|the datadir))|set parameter 'datadir'|Could not find data files at the specified datadir|points to nonexistent directory/,
    advice: "Run the backup on the host of the server, as a user that may read its data directory.",
  },
  {
    said: /Permission denied|[Ee]rrcode: 13\b|OS errno 13\b|error number 13\b/,
    advice: "Run the backup as a user that may read the data directory of the server.",
  },
  {
    said: /page corruption|corrupted (?:innodb )?page|seems to be corrupted|page is corrupt/i,
    advice: "Run CHECK TABLE on the table that is named, and repair it before the next backup.",
  },
  {
    said: /Lock wait timeout exceeded|Unable to obtain lock|waiting for the query .* timed out/i,
    advice: "End the query that keeps the lock, or run the backup when no long query runs.",
  },
  {
    said: /Server has gone away|Lost connection to (?:MySQL |MariaDB )?server|server closed the connection/i,
    advice: "Look into the error log of the server for why it went away during the backup.",
  },
];

/** What to do about a failure, in one sentence, by what a tool said. */
export function adviceFor(stderr: string): string | undefined {
  for (const { said, advice } of KNOWN) {
    const match = said.exec(stderr);
    if (match === null) continue;
    return advice.replace("$1", match.slice(1).find((each) => each !== undefined) ?? "");
  }
  return undefined;
}
