import { describe, expect, test } from "vitest";
import { createCommand, extractCommand, listCommand, type Request, shortcomings } from "../../../src/source/tar.ts";
import { readReport } from "../../../src/source/tar-report.ts";

const GNU = {
  version: "1.34",
  help: "--format --pax-option --ignore-zeros --xattrs --xattrs-include --sparse --totals --no-unquote --anchored --no-wildcards --same-permissions --delay-directory-restore",
};
const BUSYBOX = { version: "1.35.0", help: "BusyBox v1.35.0 tar -c|x|t [-f FILE] --exclude --same-permissions" };

function request(more: Partial<Request> = {}): Request {
  return { path: "/etc", kind: "plain", excludes: [], options: [], ...more };
}

function line({ file, args }: { readonly file: string; readonly args: readonly string[] }): string {
  return [file, ...args].join(" ");
}

describe("createCommand()", () => {
  test("the command lines of tar are those of the golden file", async () => {
    const more = { excludes: ["/etc/a b", "/etc/*"], options: ["--one-file-system"] };
    const lines = {
      "GNU tar, create": createCommand(GNU, request()),
      "GNU tar, create with excludes and options": createCommand(GNU, request(more)),
      "GNU tar, create through a link": createCommand(GNU, request({ ...more, kind: "link to directory" })),
      "GNU tar, create of a link to a file": createCommand(GNU, request({ kind: "link to file" })),
      "GNU tar, extract": extractCommand(GNU, { directory: "/restore", paths: [] }),
      "GNU tar, extract two paths": extractCommand(GNU, { directory: "/restore", paths: ["/etc/a//b/", "./etc/*"] }),
      "GNU tar, list": listCommand(GNU),
      "BusyBox, create": createCommand(BUSYBOX, request()),
      "BusyBox, extract": extractCommand(BUSYBOX, { directory: "/restore", paths: [] }),
      "BusyBox, list": listCommand(BUSYBOX),
    };
    const text = Object.entries(lines).map(([name, command]) => `${name}: ${line(command)}\n`);
    await expect(text.join("")).toMatchFileSnapshot("../../golden/argv/tar.txt");
  });

  test("createCommand() refuses excludes with a tar that cannot take them literally", () => {
    expect(() => createCommand(BUSYBOX, request({ excludes: ["/etc/a"] }))).toThrow('Cannot leave out "/etc/a"');
  });

  test("shortcomings() tells what an old tar does not store", () => {
    expect(shortcomings(GNU)).toEqual([]);
    expect(shortcomings(BUSYBOX)).toEqual([
      "this tar stores neither extended attributes nor ACLs; GNU tar 1.27 or newer does",
    ]);
  });

  test("extractCommand() restores everything when the root is wanted", () => {
    expect(extractCommand(GNU, { directory: "/restore", paths: ["/", "etc"] }).args).not.toContain("--");
  });
});

describe("readReport()", () => {
  test("readReport() keeps warnings and drops noise", () => {
    const stderr = [
      "tar: Removing leading `/' from member names",
      "tar: Removing leading `/' from hard link targets",
      "tar: /etc/x: file changed as we read it",
      "Total bytes written: 10240 (10KiB, 57MiB/s)",
      "tar: Exiting with failure status due to previous errors",
      "",
    ].join("\n");
    expect(readReport(stderr, 16_384)).toEqual({
      rawBytes: 10_240,
      warnings: ["/etc/x: file changed as we read it"],
    });
  });

  test("readReport() of silence is empty", () => {
    expect(readReport("", 16_384)).toEqual({ rawBytes: undefined, warnings: [] });
  });

  test("readReport() says when the start was lost, and drops the line that was cut", () => {
    const stderr = "tc/x: file changed\ntar: /etc/y: file changed\n";
    expect(readReport(stderr, stderr.length).warnings).toEqual(["earlier warnings were lost", "/etc/y: file changed"]);
  });

  test("readReport() keeps at most 100 lines, the last one telling how many more there were", () => {
    const stderr = Array.from({ length: 250 }, (_, n) => `tar: ${n}`).join("\n");
    const { warnings } = readReport(stderr, 16_384);
    expect(warnings.length).toBe(100);
    expect(warnings.slice(-2)).toEqual(["98", "151 more warnings"]);
  });
});
