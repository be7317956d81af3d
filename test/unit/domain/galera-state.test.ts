import { expect, test } from "vitest";
import { grastate, parseGaleraInfo } from "../../../src/domain/galera-state.ts";

const UUID = "7d3c1fd4-c6ae-11f0-9c5e-8f2f0a1b2c3d";

test.each([
  [`${UUID}:1234`, 1234n],
  [`${UUID}:1234 0-1-5\n`, 1234n],
  [`${UUID}:-1`, -1n],
  [`\n${UUID}:9223372036854775807`, 9223372036854775807n],
])("parseGaleraInfo() reads %j", (text, seqno) => {
  expect(parseGaleraInfo(text)).toEqual({ uuid: UUID, seqno });
});

test.each(["", "nothing", UUID, `${UUID}:`, `${UUID}:12x`, `${UUID}:1${"0".repeat(30)}`, `x${UUID}:1`])(
  "parseGaleraInfo() makes nothing of %j",
  (text) => {
    expect(parseGaleraInfo(text)).toBeUndefined();
  },
);

test("grastate() lets a node join at its place, and none found a cluster by itself", () => {
  expect(grastate({ uuid: UUID, seqno: 1234n }, "26.4.14(r06a0c285)")).toBe(
    `# GALERA saved state\nversion: 26.4.14(r06a0c285)\nuuid:    ${UUID}\nseqno:   1234\nsafe_to_bootstrap: 0\n`,
  );
});

test.each([undefined, "", "1\nsafe_to_bootstrap: 1"])(
  "grastate() takes no line from a version such as %j",
  (version) => {
    expect(grastate({ uuid: UUID, seqno: 1n }, version)).toContain("\nversion: 2.1\nuuid:");
  },
);
