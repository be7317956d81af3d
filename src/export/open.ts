import type { Exporter } from "./exporter.ts";
import type { ExportOptions, MetricsOptions } from "./options.ts";
import { statsdExporter } from "./statsd.ts";
import { textfileExporter } from "./textfile.ts";
import { webhookExporter } from "./webhook.ts";

/** Everybody who is to be told of runs. */
export function openExporters({ metrics, webhook }: ExportOptions): Exporter[] {
  return [
    ...(metrics === undefined ? [] : [metricsExporter(metrics)]),
    ...(webhook === undefined ? [] : [webhookExporter(webhook)]),
  ];
}

function metricsExporter(options: MetricsOptions): Exporter {
  return options.transport === "prometheus" ? textfileExporter(options.textfile) : statsdExporter(options);
}
