import assert from "node:assert/strict";
import { abortCases } from "./abort-cases.ts";
import { leftoverCases } from "./leftover-cases.ts";
import { putCases } from "./put-cases.ts";
import { getCases, listCases, removeCases } from "./read-cases.ts";
import { smallCases } from "./small-cases.ts";
import { type ContractCase, contractCase, type Extras, KEY } from "./subject.ts";

/** The promises every destination keeps, as cases for whatever runs tests. Each gets an empty store of its own. */
export function contractCases(extras: Extras = {}): ContractCase[] {
  return [
    ...putCases(extras),
    ...getCases(),
    ...listCases(extras),
    ...removeCases(),
    ...smallCases(),
    ...abortCases(),
    ...leftoverCases(),
    ...generalCases(),
  ];
}

function generalCases(): ContractCase[] {
  return [
    contractCase("general", "capabilities() names the transport", async ({ destination, signal }) => {
      const { conditionalReplace, transport } = await destination.capabilities({ signal });
      assert(["native", "locked", "checked"].includes(conditionalReplace), conditionalReplace);
      assert.notEqual(transport, "");
    }),
    contractCase("general", "url shows where it is and no secret", async ({ destination, opened }) => {
      assert.notEqual(destination.url, "");
      for (const secret of opened.secrets ?? []) assert(!destination.url.includes(secret), "it shows a secret");
    }),
    contractCase("general", "dispose can be called twice", async (subject) => {
      await subject.put(KEY, "x");
      await subject.destination[Symbol.asyncDispose]();
      await subject.destination[Symbol.asyncDispose]();
    }),
  ];
}
