import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import {
  ADMIN,
  certificateIn,
  hasProgram,
  makeServerRoot,
  REGION,
  type S3Server,
  startServer,
  stopServer,
} from "./s3-server.ts";

/** Whether versitygw is there; where REQUIRE is set a missing one is a failure instead. */
export function hasVersity(): boolean {
  return hasProgram("versitygw");
}

/** Start a private versitygw over a directory, whose file system takes extended attributes; with versions of objects, and so object lock, if asked for. */
export async function startVersity({ tls = true, versions = false } = {}): Promise<S3Server> {
  const root = makeServerRoot("versitygw");
  for (const name of ["data", "iam", "versions"]) mkdirSync(join(root, name));
  const address = `127.0.0.1:${await freePort()}`;
  const endpoint = `${tls ? "https" : "http"}://${address}`;
  const certificate = ["--cert", join(root, "server.crt"), "--key", join(root, "server.key")];
  const daemon = await startServer(
    "versitygw",
    [
      "--port",
      address,
      "--access",
      ADMIN.accessKeyId,
      "--secret",
      ADMIN.secretAccessKey,
      "--region",
      REGION,
      "--iam-dir",
      join(root, "iam"),
      "--keep-alive",
      "--quiet",
      ...(tls ? certificate : []),
      "posix",
      ...(versions ? ["--versioning-dir", join(root, "versions")] : []),
      join(root, "data"),
    ],
    endpoint,
  );
  return {
    endpoint,
    region: REGION,
    admin: ADMIN,
    certificate: tls ? certificateIn(root) : undefined,
    root,
    stop: () => stopServer(daemon, root),
  };
}
