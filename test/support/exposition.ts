/** One sample as a scraper of Prometheus takes it. */
export type Sample = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*/;

/** What `promtool check metrics` asks of units and suffixes. */
function lint(name: string, type: string, help: string): void {
  if (help === "") throw new Error(`${name} has no help`);
  if (type !== "counter" && name.endsWith("_total")) throw new Error(`${name} is no counter and ends in _total`);
  if (/_(?:ms|milliseconds|minutes|hours|kib|mb|kb)(?:_|$)/.test(name)) throw new Error(`${name} is in no base unit`);
  if (/[A-Z]/.test(name)) throw new Error(`${name} has capitals`);
}

/**
 * Read the text format 0.0.4 as strictly as its description: HELP and TYPE once, before the samples of a metric, all samples of one together,
 * no sample twice, nothing escaped that need not be, a line feed at the end.
 * @throws {Error} naming the line.
 */
export function readExposition(text: string): Sample[] {
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line does not end");
  const samples: Sample[] = [];
  const help = new Map<string, string>();
  const types = new Map<string, string>();
  const closed = new Set<string>();
  let current = "";
  const enter = (name: string) => {
    if (name === current) return;
    if (closed.has(name)) throw new Error(`${name} comes in two places`);
    closed.add(current);
    current = name;
  };
  for (const [index, line] of text.split("\n").slice(0, -1).entries()) {
    try {
      const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
      if (comment !== null) {
        const [, kind = "", name = "", rest = ""] = comment;
        enter(name);
        readComment(kind === "HELP" ? help : types, name, rest);
        continue;
      }
      if (line.startsWith("#") || line === "") throw new Error("a line that says nothing");
      const sample = readSample(line);
      enter(sample.name);
      const type = types.get(sample.name);
      if (type === undefined) throw new Error(`${sample.name} has no type before it`);
      lint(sample.name, type, help.get(sample.name) ?? "");
      if (
        samples.some(
          (other) => JSON.stringify([other.name, sorted(other)]) === JSON.stringify([sample.name, sorted(sample)]),
        )
      )
        throw new Error("the same sample twice");
      samples.push(sample);
    } catch (error) {
      throw new Error(`line ${index + 1}: ${String(error)}: ${line}`, { cause: error });
    }
  }
  return samples;
}

function sorted({ labels }: Sample): [string, string][] {
  return Object.entries(labels).sort(([left], [right]) => (left < right ? -1 : 1));
}

function readComment(known: Map<string, string>, name: string, rest: string): void {
  if (known.has(name)) throw new Error(`${name} is described twice`);
  if (!/^(?:[^\\]|\\[\\n])*$/.test(rest)) throw new Error("a wrong escape");
  known.set(name, rest);
}

function readSample(line: string): Sample {
  const [name = ""] = NAME.exec(line) ?? [];
  if (name === "") throw new Error("no name");
  let rest = line.slice(name.length);
  const labels: Record<string, string> = {};
  if (rest.startsWith("{")) {
    rest = rest.slice(1);
    while (!rest.startsWith("}")) {
      const [label = ""] = LABEL.exec(rest) ?? [];
      const value = /^="((?:[^"\\]|\\["\\n])*)"(,(?!})|(?=}))/.exec(rest.slice(label.length));
      if (label === "" || label.startsWith("__") || value === null || label in labels) throw new Error("a wrong label");
      labels[label] = (value[1] ?? "").replaceAll(/\\(.)/g, (_, escaped) => (escaped === "n" ? "\n" : String(escaped)));
      rest = rest.slice(label.length + value[0].length);
    }
    rest = rest.slice(1);
  }
  const [, number = ""] = /^ ([+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf|NaN))$/.exec(rest) ?? [];
  if (number === "") throw new Error("no value");
  return { name, labels, value: Number(number.replace("Inf", "Infinity")) };
}
