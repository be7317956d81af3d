import type { Secret } from "../domain/secret.ts";

/** Takes the text of every secret out of whatever is about to be printed. */
export function redactor(secrets: readonly Secret[]): (text: string) => string {
  const texts = secrets.map((secret) => secret.reveal()).filter((text) => text.length >= 4);
  return (text) => texts.reduce((rest, secret) => rest.replaceAll(secret, "[hidden]"), text);
}
