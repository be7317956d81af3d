/** One value of a metric. */
export type Series = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};

/** What is said of a metric, and which it is about: one run, or what is on the destination. */
export type Metric = { readonly help: string; readonly about: "run" | "standing" };

/**
 * Series in the text format 0.0.4 of Prometheus, one group per metric, in the order of `metrics`; all of them are gauges.
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function formatExposition(series: readonly Series[], metrics: ReadonlyMap<string, Metric>): string {
  const byName = Map.groupBy(series, ({ name }) => name);
  const groups = [...metrics].flatMap(([name, { help }]) => {
    const own = byName.get(name) ?? [];
    if (own.length === 0) return [];
    return [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} gauge`, ...own.map(formatSeries)];
  });
  return groups.map((line) => `${line}\n`).join("");
}

function formatSeries(series: Series): string {
  return `${idOf(series)} ${series.value}`;
}

/** What tells a series from others. */
export function idOf({ name, labels }: Pick<Series, "name" | "labels">): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? name : `${name}{${pairs.join(",")}}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y;

/** Read back what `formatExposition()` wrote; a line that is nothing of it is left out. */
export function parseExposition(text: string): Series[] {
  return text.split("\n").flatMap((line) => {
    const [, name = "", labels = "", value = ""] = /^([a-z_]+)(?:\{(.*)\})? ([-+.\deE]+)$/.exec(line) ?? [];
    const parsed = parseLabels(labels);
    if (name === "" || parsed === undefined || !Number.isFinite(Number(value))) return [];
    return [{ name, labels: parsed, value: Number(value) }];
  });
}

function parseLabels(text: string): Record<string, string> | undefined {
  const labels: [string, string][] = [];
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const [, label, value] = LABEL.exec(text) ?? [];
    if (label === undefined || value === undefined) return undefined;
    labels.push([label, value.replaceAll(/\\(.)/g, (_, escaped) => (escaped === "n" ? "\n" : String(escaped)))]);
  }
  return Object.fromEntries(labels);
}
