import { type ChildProcess, spawn } from "node:child_process";
import { childEnvironment } from "./environment.ts";

/**
 * Remembers the last line it was told; when its input ends, it kills the process groups named there.
 * Its input ends when we do, however we die.
 */
const SCRIPT = `trap '' HUP INT TERM; groups=
while IFS= read -r line; do groups=$line; done
[ -z "$groups" ] || kill -s KILL -- $groups 2>/dev/null`;

const watched = new Set<number>();
let guard: ChildProcess | undefined;

function tell(): void {
  readyGuard();
  guard?.stdin?.write(`${[...watched].map((pid) => `-${pid}`).join(" ")}\n`);
}

function start(): ChildProcess {
  const child = spawn("sh", ["-c", SCRIPT], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
    env: childEnvironment(),
    cwd: "/",
  });
  const forget = () => {
    if (guard === child) guard = undefined;
  };
  // Without a guard only a kill -9 of ours could leave programs behind; the run itself goes on.
  child.on("error", forget);
  child.on("exit", forget);
  child.stdin.on("error", forget);
  child.unref();
  (child.stdin as unknown as { unref(): void }).unref();
  return child;
}

/** Be ready to watch before a program is started, so that no moment is left in which a kill of ours would not reach it. */
export function readyGuard(): void {
  guard ??= start();
}

/** Have the process group led by `pid` killed should this process die without ending it. */
export function watchGroup(pid: number): void {
  watched.add(pid);
  tell();
}

/** The group has ended. */
export function releaseGroup(pid: number): void {
  if (watched.delete(pid)) tell();
}
