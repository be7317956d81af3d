import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { openAz } from "../../src/destination/az.ts";
import type { Destination } from "../../src/destination/destination.ts";
import { Secret } from "../../src/domain/secret.ts";
import { type Azurite, hasAzurite, startAzurite } from "../support/servers/azurite.ts";
import { chunks, collect, keysOf, noise } from "../support/streams.ts";
import { KEY } from "./leftovers.ts";

const { signal } = new AbortController();
const TRUSTED = getCACertificates("default");

describe.skipIf(!hasAzurite())("azure over TLS", () => {
  let azurite: Azurite;

  beforeAll(async () => {
    azurite = await startAzurite({ tls: true });
  });
  afterAll(() => azurite.stop());
  afterEach(() => setDefaultCACertificates(TRUSTED));

  function open(): Promise<Destination> {
    const connectionString = new Secret(azurite.connectionString());
    return openAz({ kind: "az", connectionString, container: "copies", chunkBytes: 1, remotePath: "/" });
  }

  test("a certificate that nobody vouches for is refused, at once", async () => {
    await using destination = await open();
    await expect(keysOf(destination.list("", { signal }))).rejects.toMatchObject({
      code: "UNREACHABLE",
      retryable: false,
      message: expect.stringMatching(/shows a certificate that is not trusted \(\w+\)$/),
      hint: expect.stringContaining("NODE_EXTRA_CA_CERTS"),
    });
  });

  test("with one that is trusted objects come and go, and URLs are for https only", async () => {
    setDefaultCACertificates([...TRUSTED, azurite.certificate ?? ""]);
    await azurite.container("copies");
    await using destination = await open();
    const bytes = noise(9_000_000);
    await destination.put(KEY, chunks(bytes), { signal });
    expect((await collect(destination.get(KEY, { signal }))).equals(bytes)).toBe(true);
    const url = new URL((await destination.share?.(KEY, { signal, expiresSeconds: 60 })) ?? "");
    expect(url.searchParams.get("spr")).toBe("https");
  });
});
