import { expect, test } from "vitest";
import { retentionPicture } from "../../support/docs/retention-picture.ts";

test("docs/retention.svg shows what retention decides", async () => {
  const kinds = ["full", "increment", "parent", "gone"];
  // One of each kind explains itself.
  expect(kinds.filter((kind) => retentionPicture().split(`<rect class="${kind}" `).length < 3)).toEqual([]);
  await expect(retentionPicture()).toMatchFileSnapshot("../../../docs/retention.svg");
});
