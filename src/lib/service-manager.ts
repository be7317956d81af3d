import { type Command, text } from "./command.ts";

/** Tells systemd how a service is, where it asked for that. */
export type ServiceManager = {
  /** It works from now on. */
  ready(): void;
  /** What it does, in a few words. */
  status(words: string): void;
  /** Seconds within which it wants to hear `alive()`; 0 for never. */
  readonly watchdogSeconds: number;
  alive(): void;
};

type Environment = Readonly<Record<string, string | undefined>>;

/** Read from the environment what the service manager wants; nothing happens where there is none. */
export function serviceManager(environment: Environment, signal: AbortSignal): ServiceManager {
  const socket = environment["NOTIFY_SOCKET"];
  // One after the other, so that the newest word is the last one.
  let last = Promise.resolve();
  const tell = (...args: readonly string[]): void => {
    if (socket === undefined || socket === "") return;
    // Node cannot send to such a socket, so systemd's own program does. A service that cannot tell how it is goes on all the same.
    last = last.then(() => text(notifyCommand(socket, args), { signal }).then(nothing, nothing));
  };
  const microseconds = Number(environment["WATCHDOG_USEC"] ?? 0);
  const isOurs = [undefined, "", String(process.pid)].includes(environment["WATCHDOG_PID"]);
  return {
    ready: () => tell("--ready"),
    status: (words) => tell(`--status=${words}`),
    watchdogSeconds: socket !== undefined && isOurs && microseconds > 0 ? microseconds / 1_000_000 : 0,
    alive: () => tell("WATCHDOG=1"),
  };
}

function notifyCommand(socket: string, args: readonly string[]): Command {
  return { file: "systemd-notify", args, env: { NOTIFY_SOCKET: socket } };
}

function nothing(): void {}
