import description from "../../package.json" with { type: "json" };

/** The version of this program, as its package says. */
export function version(): string {
  return description.version;
}
