import { spawn } from "node:child_process";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "./ports.ts";
import { ADMIN, certificateIn, makeServerRoot, REGION, type S3Server, stopServer } from "./s3-server.ts";

/** Start a server of S3's protocol, over TLS, that takes what comes and keeps nothing of it: what takes time or memory is the client. */
export async function startSink(): Promise<S3Server> {
  const root = makeServerRoot("sink");
  const port = await freePort();
  const program = new URL("./s3-sink.ts", import.meta.url).pathname;
  const argv = ["--pdeathsig", "KILL", "--", process.execPath, program, String(port), root];
  const daemon = spawn("setpriv", argv, { stdio: ["ignore", "inherit", "inherit"] });
  while (!(await isOpen(port))) {
    if (daemon.exitCode !== null) throw new Error("the sink does not start");
    await pause(20);
  }
  return {
    endpoint: `https://127.0.0.1:${port}`,
    region: REGION,
    admin: ADMIN,
    certificate: certificateIn(root),
    root,
    stop: () => stopServer(daemon, root),
  };
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
