import type { Point, SubjectView } from "../../domain/fleet.ts";
import { humanBytes } from "../../domain/human.ts";
import { type FleetHost, type FleetState, nameOfSubject, notesOf, stateOfHost, stateOfSubject } from "../fleet-rows.ts";
import { barsOf, chartedPoints, drawBars, SMALL } from "./bars.ts";
import { ageOf, durationOf, minuteOf, pill, sizeOf, trendOf } from "./cells.ts";
import { Html, html } from "./html.ts";

/** One cell. `sort` is what it is sorted by where that is not its text. */
type Cell = { readonly content: Html | string | undefined; readonly sort?: string | number };

type Column = {
  readonly title: string;
  readonly look?: "r" | "wrap";
  readonly isNumeric?: true;
  readonly cell: (subject: SubjectView, now: Date) => Cell;
};

const COLUMNS: readonly Column[] = [
  { title: "What", look: "wrap", cell: (subject) => ({ content: nameOfSubject(subject) }) },
  {
    title: "State",
    look: "wrap",
    cell: (subject) => ({ content: stateCell(subject), sort: stateOfSubject(subject) }),
  },
  {
    title: "Last good",
    look: "r",
    isNumeric: true,
    cell: ({ newestAt }, now) => ({ content: ageOf(newestAt, now), sort: newestAt?.getTime() ?? "" }),
  },
  numeric("Size", ({ newest }) => newest?.bytes, sizeOf),
  {
    title: "Trend",
    look: "r",
    isNumeric: true,
    cell: (subject) => ({ content: trendOf(subject), sort: subject.trend ?? "" }),
  },
  { title: "Sizes", cell: (subject) => ({ content: chart(subject, "sizes", ({ bytes }) => bytes) }) },
  numeric("Took", ({ newest }) => newest?.seconds, durationOf),
  { title: "Durations", cell: (subject) => ({ content: chart(subject, "durations", ({ seconds }) => seconds) }) },
  numeric("Copies", ({ points }) => points.length, String),
  numeric("Stored", ({ storedBytes }) => storedBytes, sizeOf),
  {
    title: "Verified",
    look: "r",
    isNumeric: true,
    cell: ({ media, verifiedAt }, now) => ({
      content: media === "binlog" && verifiedAt === undefined ? "" : ageOf(verifiedAt, now),
      sort: verifiedAt?.getTime() ?? "",
    }),
  },
  {
    title: "Recoverable until",
    isNumeric: true,
    cell: ({ window }) => ({ content: window && minuteOf(window.to), sort: window?.to.getTime() ?? "" }),
  },
];

function numeric(
  title: string,
  valueOf: (subject: SubjectView) => number | undefined,
  textOf: (value: number | undefined) => string,
): Column {
  const cell = (subject: SubjectView) => ({ content: textOf(valueOf(subject)), sort: valueOf(subject) ?? "" });
  return { title, look: "r", isNumeric: true, cell };
}

function stateCell(subject: SubjectView): Html {
  const state = stateOfSubject(subject);
  const notes = notesOf(subject).replace(/^ok(?:, )?/, "");
  return notes === "" ? pill(state) : html`${pill(state)} <span class="note">${notes}</span>`;
}

function chart(subject: SubjectView, what: string, valueOf: (point: Point) => number | undefined) {
  const [first] = chartedPoints(subject.points);
  const bars = barsOf(first?.points.slice(-SMALL.most) ?? [], valueOf);
  if (bars.every(({ value }) => value === undefined)) return "";
  return drawBars(bars, SMALL, `${what} of the last ${bars.length} ${first?.what ?? ""}`);
}

/** Every thing that is backed up, one line each; hosts of which nothing is known have a line too. */
export function fleetTable(hosts: readonly FleetHost[], now: Date): Html {
  const heads = [html`<th><button type="button">Host</button></th>`, ...COLUMNS.map(head)];
  const rows = worstFirst(hosts).flatMap((host) => rowsOf(host, now));
  return html`<div class="card"><table class="fleet"><thead><tr>${heads}</tr></thead>
<tbody>
${rows}</tbody></table></div>`;
}

function head({ title, look, isNumeric, cell: _cell }: Column): Html {
  const kind = html`${look === "r" ? html` class="r"` : undefined}${isNumeric ? html` data-n` : undefined}`;
  if (title === "Sizes" || title === "Durations") return html`<th>${title}</th>`;
  return html`<th${kind}><button type="button">${title}</button></th>`;
}

function row(host: FleetHost, subject: SubjectView, now: Date): Html {
  const cells = COLUMNS.map(({ title, look, cell }) => cellOf(title, look, cell(subject, now)));
  const state = host.pausedUntil === undefined ? stateOfSubject(subject) : "paused";
  return html`<tr data-host="${host.host}" data-state="${state}">${hostCell(host)}${cells}</tr>
`;
}

function cellOf(title: string, look: string | undefined, { content, sort }: Cell): Html {
  const isNothing = content === undefined || content === "" || (content instanceof Html && content.text === "");
  const classes = [look, isNothing ? "none" : undefined].filter((name) => name !== undefined).join(" ");
  const sorted = sort === undefined ? undefined : html` data-v="${sort}"`;
  return html`<td${classes === "" ? undefined : html` class="${classes}"`} data-name="${title}"${sorted}>${content}</td>`;
}

function hostCell(host: FleetHost): Html {
  const paused = host.pausedUntil === undefined ? undefined : html` ${pill("paused")}`;
  return html`<td class="host"><a href="#${anchorOf(host)}">${host.host}</a>${paused}</td>`;
}

/** A host or a status of which there is nothing to show but how it is. */
function bareRow(host: FleetHost, state: FleetState, what = ""): Html {
  const rest = COLUMNS.slice(2).map(() => html`<td class="none" data-v=""></td>`);
  return html`<tr data-host="${host.host}" data-state="${state}">${hostCell(host)}<td class="${what === "" ? "none" : "wrap"}" data-name="What">${what}</td><td class="wrap" data-name="State" data-v="${state}">${pill(state)}</td>${rest}</tr>
`;
}

function rowsOf(host: FleetHost, now: Date): Html[] {
  const rows = [
    ...host.troubles.map(({ kind, media }) => bareRow(host, kind, `${media} status`)),
    ...host.subjects.map((subject) => row(host, subject, now)),
  ];
  return rows.length === 0 ? [bareRow(host, stateOfHost(host))] : rows;
}

/** Where a host's section is; names of hosts may hold anything. */
export function anchorOf({ host }: FleetHost): string {
  return `host-${Buffer.from(host).toString("hex")}`;
}

/** The sum of everything, for the head of the page. */
export function storedOf(hosts: readonly FleetHost[]): string {
  return humanBytes(hosts.flatMap(({ subjects }) => subjects).reduce((sum, { storedBytes }) => sum + storedBytes, 0));
}

const SEVERITY: readonly FleetState[] = ["unreadable", "broken", "recovered", "late", "empty", "ok"];

/** Hosts by what they need. */
export function worstFirst(hosts: readonly FleetHost[]): FleetHost[] {
  const rank = (host: FleetHost) => SEVERITY.indexOf(stateOfHost(host));
  return hosts.toSorted((left, right) => rank(left) - rank(right));
}
