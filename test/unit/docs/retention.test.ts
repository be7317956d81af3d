import { expect, test } from "vitest";
import { retentionPicture } from "../../support/docs/retention-picture.ts";

test("docs/retention.svg shows what retention decides", async () => {
  for (const kind of ["full", "increment", "parent", "gone"]) {
    expect(retentionPicture().split(`<rect class="${kind}" `).length, kind).toBeGreaterThan(2);
  }
  await expect(retentionPicture()).toMatchFileSnapshot("../../../docs/retention.svg");
});
