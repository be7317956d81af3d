import type { Secret } from "../domain/secret.ts";

/**
 * Where measures go. `tags`: lines carry the host and the part as tags, which receivers of plain StatsD do not understand. `keys` are those
 * that the predecessor asked for: the agent on the host has its own, so they are only kept out of what is printed.
 */
export type MetricsOptions =
  | { readonly transport: "datadog"; readonly host: string; readonly port: number; readonly keys: readonly Secret[] }
  | { readonly transport: "statsd"; readonly host: string; readonly port: number; readonly tags: boolean }
  | { readonly transport: "prometheus"; readonly textfile: string };

/** When somebody is told. */
export const WEBHOOK_OCCASIONS = ["failure", "success", "always"] as const;

/** Who is told of a run, by HTTP. The URL is a secret: those of chat services hold a token. */
export type WebhookOptions = { readonly url: Secret; readonly on: (typeof WEBHOOK_OCCASIONS)[number] };

/** Where runs are told of, besides the terminal. */
export type ExportOptions = {
  readonly metrics: MetricsOptions | undefined;
  readonly webhook: WebhookOptions | undefined;
};
