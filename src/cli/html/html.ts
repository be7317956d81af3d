/** Text that is HTML already. Made by `html` only, so everything else in it is escaped. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What may stand in `html`: texts are escaped, lists are joined, `undefined` is nothing. */
export type HtmlValue = Html | string | number | undefined | readonly HtmlValue[];

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as it may stand between tags and in quoted attributes. Characters that no document may hold are shown, not sent. */
function escapeHtml(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cs}]/gu, "\uFFFD").replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}

/** A piece of HTML: html`<td title="${title}">${text}</td>`. */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(parts.map((part, index) => part + textOf(values[index])).join(""));
}

function textOf(value: HtmlValue): string {
  if (value === undefined) return "";
  if (value instanceof Html) return value.text;
  if (typeof value === "number") return String(value);
  return typeof value === "string" ? escapeHtml(value) : value.map(textOf).join("");
}
