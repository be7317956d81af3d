import { describe, test } from "vitest";
import { contractCases } from "../../src/destination/contract/cases.ts";
import type { ContractCase, Extras, Opened } from "../../src/destination/contract/subject.ts";

/** The promises every destination keeps. Call it at the top of a test file; each case gets an empty store of its own. */
export function destinationContract(name: string, open: () => Promise<Opened>, extras: Extras = {}): void {
  const groups = Map.groupBy(contractCases(extras), ({ group }) => group);
  describe(name, () => {
    for (const [group, cases] of groups) {
      describe(group, () => {
        testAll(cases, open);
      });
    }
  });
}

function testAll(cases: readonly ContractCase[], open: () => Promise<Opened>): void {
  for (const { name, run } of cases) {
    test(name, async ({ skip }) => {
      const reason = await run(open);
      if (reason !== undefined) skip(reason);
    });
  }
}
