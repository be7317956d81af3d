import type { DriverCall } from "./driver.ts";
import { type GcsFound, OBJECT_FIELDS } from "./gcs-answer.ts";
import type { GcsClient } from "./gcs-client.ts";
import type { Doing } from "./gcs-errors.ts";

/** What is under exactly this name; `undefined` when nothing is. */
export async function findObject(
  client: GcsClient,
  key: string,
  { verb, signal }: DriverCall & Pick<Doing, "verb">,
): Promise<GcsFound | undefined> {
  const doing = { verb, object: key };
  const url = client.url(key, { fields: OBJECT_FIELDS });
  const json = await client.json({
    method: "GET",
    url,
    mayNeedKey: true,
    expect: [200, 404],
    doing,
    signal,
  });
  return json && client.found(json, doing);
}
