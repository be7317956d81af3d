import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmdirSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

const SHELF = process.env["TWINDB_TEST_SERVERS"] ?? join(homedir(), ".cache/twindb-backup-test-servers");
const SETUP = new URL("clean-host.sh", import.meta.url).pathname;

export type Release = "debian-12" | "debian-13";

export type Said = { readonly status: number | null; readonly stdout: string; readonly stderr: string };

/** Whether the clean root of a release was made here, and hosts can be made of it. */
export function hasRelease(release: Release): boolean {
  return existsSync(join(SHELF, release, "usr/bin/dpkg")) && process.geteuid?.() === 0;
}

/** A host called db1: a clean Debian with what the package depends on, and the directory of packages at /packages. */
export class CleanHost implements AsyncDisposable {
  readonly #init: ChildProcess;
  readonly #place: string;

  private constructor(init: ChildProcess, place: string) {
    this.#init = init;
    this.#place = place;
  }

  static async start(release: Release, packages: string): Promise<CleanHost> {
    const place = mkdtempSync(join(tmpdir(), "twindb-clean-host-"));
    const apart = ["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"];
    const script = ["bash", "--norc", SETUP, join(SHELF, release), place, packages];
    const init = spawn("setpriv", [...apart, ...script], { stdio: ["ignore", "pipe", "inherit"] });
    const host = new CleanHost(init, place);
    await Promise.race([once(init.stdout, "data"), once(init, "exit")]);
    if (init.exitCode === null) return host;
    rmdirSync(place);
    throw new Error("no clean host could be made; see above");
  }

  /** The first process of the namespaces, as this system knows it. */
  #pid(): string {
    const children = readFileSync(`/proc/${this.#init.pid}/task/${this.#init.pid}/children`, "utf8").trim();
    return children.split(" ")[0] ?? "";
  }

  /** Run lines of shell as root logs in there. */
  run(lines: string): Said {
    const enter = ["--target", this.#pid(), "--mount", "--pid", "--uts", "--ipc"];
    const clean = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"];
    const shell = ["chroot", join(this.#place, "host"), ...clean, "LC_ALL=C.UTF-8", "bash", "--norc", "-c"];
    const { status, stdout, stderr } = spawnSync("nsenter", [...enter, ...shell, `cd /root\n${lines}`], {
      encoding: "utf8",
      timeout: 60_000,
      killSignal: "SIGKILL",
    });
    return { status, stdout, stderr };
  }

  /** What lines of shell print. @throws when they fail, with all that they said. */
  lines(lines: string): string[] {
    const { status, stdout, stderr } = this.run(lines);
    if (status !== 0) throw new Error(`${lines}\nexited with ${status}\n${stdout}${stderr}`);
    return stdout.split("\n").slice(0, -1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#init, "exit");
    this.#init.kill("SIGKILL");
    await ended;
    rmdirSync(this.#place);
  }
}
