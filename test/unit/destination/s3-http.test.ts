import { readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Wire } from "../../../src/destination/s3-http.ts";
import { Scavenger } from "../../../src/lib/scavenger.ts";
import { certificateIn, makeServerRoot } from "../../support/servers/s3-server.ts";

const root = makeServerRoot("wire");
const keys = { key: readFileSync(join(root, "server.key")), cert: certificateIn(root) };
const server = createServer(keys, (request, response) => {
  request.resume().once("end", () => response.end());
});

beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => {
  server.close();
  rmSync(root, { recursive: true, force: true });
});

test("a connection that is kept does not hold on to what was sent last", async () => {
  const wire = new Wire({ certificate: keys.cert });
  const put = async (): Promise<WeakRef<Uint8Array>> => {
    const body = Buffer.allocUnsafeSlow(1024 * 1024);
    const { port } = server.address() as AddressInfo;
    const { response } = await wire.handle({
      method: "PUT",
      protocol: "https:",
      hostname: "127.0.0.1",
      port,
      path: "/part",
      headers: { "content-length": String(body.length) },
      body,
    });
    await response.body.resume().toArray();
    return new WeakRef(body);
  };
  const sent = await put();
  // A reference that was just made holds on until the next turn.
  await new Promise((resolve) => setImmediate(resolve));
  new Scavenger("buffers").dropped(64 * 1024 * 1024);
  expect(sent.deref()).toBeUndefined();
  wire.destroy();
});
