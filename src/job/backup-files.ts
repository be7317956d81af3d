import type { FilesCopy } from "../domain/copy.ts";
import { directoryCode, filesName, parseFilesName, uniqueTimestamp } from "../domain/names.ts";
import type { Source } from "../source/source.ts";
import { type Backup, type Before, prepareBackup, takeCopy } from "./take-copy.ts";

/** What a run of tar learned. */
type FilesFacts = Pick<FilesCopy, "rawBytes" | "tool" | "toolVersion" | "warnings">;

/** Everything a backup of directories needs. */
export type FilesBackup = Backup<"files"> & {
  readonly directories: readonly string[];
  readonly openSource: (directory: string, name: string, onProgress: (bytes: number) => void) => Source<FilesFacts>;
  /** Says in the source's own words why a directory could not be copied. */
  readonly explain: (error: unknown, directory: string) => unknown;
};

/** Back up each directory, expire what retention no longer wants. One failing directory does not keep the others from running. */
export async function backupFiles(backup: FilesBackup): Promise<void> {
  const before = await prepareBackup(backup, "files");
  const names = new Set(before.names);
  for (const directory of backup.directories) {
    try {
      await backupDirectory(backup, directory, { before, names });
    } catch (error) {
      backup.signal.throwIfAborted();
      backup.onFailure(backup.explain(error, directory));
    }
  }
}

type Progress = { readonly before: Before<FilesCopy>; readonly names: Set<string> };

async function backupDirectory(backup: FilesBackup, directory: string, { before, names }: Progress): Promise<void> {
  const startedAt = backup.now();
  const code = directoryCode(directory);
  const own = [...names].filter((each) => parseFilesName(each)?.code === code);
  const { takenAt, clockBehind } = uniqueTimestamp(startedAt, own);
  const name = filesName(directory, takenAt);
  // Another directory may have the same code, and comes later in this run.
  names.add(name);
  const last = before.status.copies.findLast((copy) => copy.directory === directory);
  const source = backup.openSource(directory, name, backup.progress(directory, last?.rawBytes));
  await takeCopy(backup, before, {
    media: "files",
    source,
    startedAt,
    clockBehind,
    describe: (stored, facts) => ({ ...stored, ...facts, directory }),
  });
}
