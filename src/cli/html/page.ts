import { createHash } from "node:crypto";
import { humanTime } from "../../domain/human.ts";
import { type FleetHost, type FleetState, stateOfHost } from "../fleet-rows.ts";
import { fleetTable, storedOf, worstFirst } from "./fleet-table.ts";
import { hostSection } from "./host-section.ts";
import { Html, html } from "./html.ts";
import { SCRIPT } from "./script.ts";
import { STYLE } from "./style.ts";

/** What a page is about. */
export type PageFacts = {
  readonly hosts: readonly FleetHost[];
  readonly destination: string;
  readonly now: Date;
  /** Takes secrets out of a text. */
  readonly redact: (text: string) => string;
};

/**
 * The whole report as one file: nothing is loaded from elsewhere, and the page itself forbids it. Its own style and script are named by their
 * hashes, so that a server may add a stricter policy.
 */
export function reportPage(facts: PageFacts): string {
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy()}">
<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex"><meta name="referrer" content="no-referrer">
<title>Backups</title><style>${new Html(STYLE)}</style></head>
<body>${new Html(facts.redact(main(facts).text))}<script>${new Html(SCRIPT)}</script></body></html>
`;
  return page.text;
}

function main({ hosts, destination, now }: PageFacts): Html {
  return html`<main><h1>Backups</h1><p class="soft">on <code>${destination}</code>, as of <time datetime="${now.toISOString()}">${humanTime(now)}</time></p>
${tiles(hosts)}
<div class="tools" hidden><input type="search" placeholder="Find a host" aria-label="Find a host"><label><input type="checkbox"> Only what needs a look</label></div>
${hosts.length === 0 ? html`<p>There are no copies.</p>` : fleetTable(hosts, now)}
<p class="note legend"><span><i></i>copy</span><span><i class="increment"></i>increment</span><span><i class="broken"></i>broken</span></p>
<h2>Hosts</h2>
${worstFirst(hosts).map(hostSection)}</main>`;
}

function policy(): string {
  const hashOf = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  return `default-src 'none'; style-src ${hashOf(STYLE)}; script-src ${hashOf(SCRIPT)}; base-uri 'none'; form-action 'none'`;
}

function tiles(hosts: readonly FleetHost[]): Html {
  const states = hosts.map(stateOfHost);
  const count = (...wanted: readonly FleetState[]) => states.filter((state) => wanted.includes(state)).length;
  const [late, bad] = [count("late"), count("broken", "unreadable", "recovered", "empty")];
  return html`<div class="tiles">${[
    tile("hosts", hosts.length),
    tile("fine", count("ok"), late + bad === 0 ? "good" : ""),
    tile("late", late, late > 0 ? "late" : ""),
    tile("broken, unreadable or empty", bad, bad > 0 ? "bad" : ""),
    tile("stored", storedOf(hosts)),
  ]}</div>`;
}

function tile(title: string, value: number | string, look = ""): Html {
  return html`<div class="tile ${look}"><b>${value}</b>${title}</div>`;
}
