import { expect, test } from "vitest";
import { blockId } from "../../../src/destination/az-upload.ts";

const NONCE = "0123456789abcdef0123456789abcdef";

test("blockId() names have one length, that of the predecessor's", () => {
  const first = Buffer.from("0".repeat(32)).toString("base64");
  const theirs = Buffer.from(encodeURIComponent(first)).toString("base64");
  for (const number of [1, 9, 10, 50_000]) expect(blockId(NONCE, number)).toHaveLength(theirs.length);
});

test("blockId() names differ by number and by upload", () => {
  const others = [blockId(NONCE, 2), blockId(NONCE, 11), blockId(NONCE.replace("0", "f"), 1)];
  expect(new Set([blockId(NONCE, 1), ...others]).size).toBe(4);
});
