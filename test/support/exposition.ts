/** One sample as a scraper of Prometheus takes it. */
export type Sample = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf|NaN))$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(?:,|$)/;

/** What `promtool check metrics` asks of units and suffixes. */
function lint(name: string, type: string, help: string): void {
  if (help === "") throw new Error(`${name} has no help`);
  if (type !== "counter" && name.endsWith("_total")) throw new Error(`${name} is no counter and ends in _total`);
  if (/_(?:ms|milliseconds|minutes|hours|kib|mb|kb)(?:_|$)/.test(name)) throw new Error(`${name} is in no base unit`);
  if (/[A-Z]/.test(name)) throw new Error(`${name} has capitals`);
}

/** What was read of a text so far. */
class Reader {
  readonly samples: Sample[] = [];
  readonly #help = new Map<string, string>();
  readonly #types = new Map<string, string>();
  readonly #ids = new Set<string>();
  readonly #closed = new Set<string>();
  #current = "";

  read(line: string): void {
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind !== undefined) this.#comment(kind === "HELP" ? this.#help : this.#types, name, rest);
    else if (line.startsWith("#") || line === "") throw new Error("a line that says nothing");
    else this.#sample(readSample(line));
  }

  #comment(known: Map<string, string>, name: string, rest: string): void {
    this.#enter(name);
    if (known.has(name)) throw new Error(`${name} is described twice`);
    if (!/^(?:[^\\]|\\[\\n])*$/.test(rest)) throw new Error("a wrong escape");
    known.set(name, rest);
  }

  #sample(sample: Sample): void {
    this.#enter(sample.name);
    const type = this.#types.get(sample.name);
    if (type === undefined) throw new Error(`${sample.name} has no type before it`);
    lint(sample.name, type, this.#help.get(sample.name) ?? "");
    const id = JSON.stringify([sample.name, sorted(sample)]);
    if (this.#ids.has(id)) throw new Error("the same sample twice");
    this.#ids.add(id);
    this.samples.push(sample);
  }

  /** All of a metric stands together. */
  #enter(name: string): void {
    if (name === this.#current) return;
    if (this.#closed.has(name)) throw new Error(`${name} comes in two places`);
    this.#closed.add(this.#current);
    this.#current = name;
  }
}

/**
 * Read the text format 0.0.4 as strictly as its description: HELP and TYPE once, before the samples of a metric, all samples of one together,
 * no sample twice, nothing escaped that need not be, a line feed at the end.
 * @throws {Error} naming the line.
 */
export function readExposition(text: string): Sample[] {
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line does not end");
  const reader = new Reader();
  for (const [index, line] of text.split("\n").slice(0, -1).entries()) {
    try {
      reader.read(line);
    } catch (error) {
      throw new Error(`line ${index + 1}: ${String(error)}: ${line}`, { cause: error });
    }
  }
  return reader.samples;
}

function sorted({ labels }: Sample): [string, string][] {
  return Object.entries(labels).sort(([left], [right]) => (left < right ? -1 : 1));
}

function readSample(line: string): Sample {
  const [, name = "", labels, number = ""] = SAMPLE.exec(line) ?? [];
  if (name === "") throw new Error("no sample");
  return {
    name,
    labels: labels === undefined ? {} : readLabels(labels),
    value: Number(number.replace("Inf", "Infinity")),
  };
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (let rest = text; rest !== ""; ) {
    const [whole = "", label = "", value = ""] = LABEL.exec(rest) ?? [];
    if (!isNewLabel(label, labels)) throw new Error(`a wrong label: ${rest}`);
    labels[label] = value.replaceAll(/\\(.)/g, (_, escaped) => (escaped === "n" ? "\n" : String(escaped)));
    rest = rest.slice(whole.length);
    if (whole.endsWith(",") && rest === "") throw new Error("a comma at the end");
  }
  return labels;
}

/** Names that begin with two underscores are for Prometheus itself. */
function isNewLabel(label: string, labels: Readonly<Record<string, string>>): boolean {
  return label !== "" && !label.startsWith("__") && !(label in labels);
}
