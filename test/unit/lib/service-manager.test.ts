import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findProgram } from "../../../src/lib/programs.ts";
import { serviceManager } from "../../../src/lib/service-manager.ts";

const { signal } = new AbortController();
const LISTENER = "socat";
const isThere = ["systemd-notify", LISTENER].every((program) => findProgram(program) !== undefined);

test.skipIf(!isThere)("serviceManager() tells the service manager in order", async () => {
  const root = mkdtempSync(join(tmpdir(), "notify-"));
  const socket = join(root, "socket");
  const listener = spawn(LISTENER, ["-u", `UNIX-RECV:${socket}`, "-"], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    let heard = "";
    listener.stdout.on("data", (chunk: Buffer) => (heard += chunk.toString()));
    await expect.poll(() => existsSync(socket)).toBe(true);
    const manager = serviceManager({ NOTIFY_SOCKET: socket, WATCHDOG_USEC: "30000000" }, signal);
    expect(manager.watchdogSeconds).toBe(30);
    manager.ready();
    manager.status("following binlog.000001");
    // Nobody here answers systemd-notify, which waits for five seconds each time.
    await expect.poll(() => heard, { timeout: 15_000 }).toMatch(/READY=1[^]*STATUS=following binlog\.000001/);
  } finally {
    listener.kill();
    rmSync(root, { recursive: true });
  }
});

test("serviceManager() does nothing where none asked for it, or asked another process", () => {
  const manager = serviceManager({ WATCHDOG_USEC: "30000000" }, signal);
  manager.ready();
  expect(manager.watchdogSeconds).toBe(0);
  expect(serviceManager({ NOTIFY_SOCKET: "/x", WATCHDOG_USEC: "1", WATCHDOG_PID: "1" }, signal).watchdogSeconds).toBe(
    0,
  );
});
