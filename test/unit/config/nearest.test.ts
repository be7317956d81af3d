import { expect, test } from "vitest";
import { nearest } from "../../../src/config/nearest.ts";

const KEYS = ["hourly_copies", "daily_copies", "port", "ssh_port"];

test("nearest() finds the key that was meant", () => {
  expect(nearest("dialy_copies", KEYS)).toBe("daily_copies");
  expect(nearest("daily_copy", KEYS)).toBe("daily_copies");
  expect(nearest("prot", KEYS)).toBe("port");
  expect(nearest("sshport", KEYS)).toBe("ssh_port");
});

test("nearest() suggests nothing far-fetched", () => {
  expect(nearest("bucket", KEYS)).toBeUndefined();
  expect(nearest("", KEYS)).toBeUndefined();
  expect(nearest("port", [])).toBeUndefined();
});
