import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { checkedXbstream } from "../../../src/lib/checked-xbstream.ts";
import { collect, noise, sliced } from "../../support/streams.ts";

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** A stored file as the tools stream it. */
function file(path: string, body: Buffer): Buffer {
  const head = (type: string) => [Buffer.from(`XBSTCK01\0${type}`), u32(path.length), Buffer.from(path)];
  return Buffer.concat([...head("P"), u64(body.length), u64(0), u32(crc32(body)), body, ...head("E")]);
}

const STREAM = Buffer.concat([file("ibdata1", noise(10_000)), file("xtrabackup_info", Buffer.from("uuid = 1\n"))]);

test.each([[STREAM.length], [1], [7, 4096], [100, 1, 30]])(
  "checkedXbstream() passes an intact stream in slices of %j",
  async (...sizes) => {
    expect((await collect(checkedXbstream(sliced(STREAM, ...sizes)))).equals(STREAM)).toBe(true);
  },
);

test.each([
  ["cut", STREAM.subarray(0, -1)],
  ["cut between two files", file("ibdata1", noise(10_000))],
  ["empty", Buffer.alloc(0)],
  ["with more behind it", Buffer.concat([STREAM, Buffer.from("more")])],
  ["that leads outside", Buffer.concat([file("../evil", noise(10)), STREAM])],
])("checkedXbstream() throws at a stream that is %s", async (_what, bytes) => {
  for (const size of [bytes.length + 1, 9]) {
    await expect(collect(checkedXbstream(sliced(bytes, size)))).rejects.toMatchObject({ code: "DATA_DAMAGED" });
  }
});

test("checkedXbstream() passes nothing of a path that leads outside", async () => {
  const bad = file("../evil", noise(10));
  const passed: number[] = [];
  const read = async () => {
    for await (const chunk of checkedXbstream(sliced(bad, bad.length))) passed.push(chunk.length);
  };
  await expect(read()).rejects.toMatchObject({ code: "DATA_DAMAGED" });
  expect(passed).toEqual([]);
});

test("checkedXbstream() passes the failure of its source on", async () => {
  async function* failing() {
    yield STREAM.subarray(0, 100);
    throw new Error("the source failed");
  }
  await expect(collect(checkedXbstream(failing()))).rejects.toThrow("the source failed");
});

test("checkedXbstream() lets a reader leave early", async () => {
  for await (const chunk of checkedXbstream(sliced(STREAM, 10))) {
    expect(chunk).toHaveLength(10);
    break;
  }
});
