import { linkSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { BUCKET, makeBucket } from "../support/s3-options.ts";
import { hasSeaweed, startSeaweed } from "../support/servers/seaweedfs.ts";

const MIB = 1024 * 1024;
const FILE_BYTES = 128 * MIB;
const FILES = 18;

/** A little less than docs/object-storage.md says of copies up to 31 GiB, for this one is smaller. */
const MOST_MIB = 190;

/** The largest resident size of a process so far, in MiB; 0 when it has ended. */
function peakOf(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

test.skipIf(!hasSeaweed())(
  "an upload takes no more memory than is said, and no more the longer it goes on",
  async () => {
    await using stack = new AsyncDisposableStack();
    const server = await startSeaweed();
    stack.defer(() => server.stop());
    await makeBucket(server);
    using sandbox = new Sandbox();
    const tree = sandbox.directory("tree");
    // One file under many names, each of which tar is told to read.
    writeFileSync(join(tree, "0"), Buffer.alloc(FILE_BYTES, "0123456789abcdef"));
    for (let index = 1; index < FILES; index++) linkSync(join(tree, "0"), join(tree, String(index)));
    sandbox.configure({
      source: { hostname: "db7", backup_dirs: tree, tar_options: "--hard-dereference" },
      destination: { backup_destination: "s3" },
      s3: {
        bucket: BUCKET,
        endpoint: server.endpoint,
        force_path_style: "yes",
        aws_default_region: server.region,
        aws_access_key_id: server.admin.accessKeyId,
        aws_secret_access_key: server.admin.secretAccessKey,
      },
      compression: { program: "none" },
    });
    const peaks: number[] = [];
    let timer: NodeJS.Timeout | undefined;
    const onStart = (pid: number) => {
      timer = setInterval(() => peaks.push(peakOf(pid)), 100);
    };
    const env = { NODE_EXTRA_CA_CERTS: join(server.root, "server.crt") };
    const result = await sandbox.run(["backup", "daily"], { onStart, env });
    clearInterval(timer);
    expect(result).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
    const most = Math.max(...peaks);
    expect(most).toBeGreaterThan(100);
    expect(most).toBeLessThan(MOST_MIB);
  },
  120_000,
);
