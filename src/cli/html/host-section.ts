import type { Point, SubjectView } from "../../domain/fleet.ts";
import { clockSeconds, humanBytes, humanTime } from "../../domain/human.ts";
import { explainShortly } from "../explain.ts";
import { type FleetHost, gapTexts, nameOfSubject, stateOfHost, stateOfSubject } from "../fleet-rows.ts";
import { barsOf, chartedPoints, drawBars, LARGE } from "./bars.ts";
import { durationOf, pill, sizeOf } from "./cells.ts";
import { anchorOf } from "./fleet-table.ts";
import { type Html, html } from "./html.ts";

/** As many copies are listed; `ls` lists all. */
const LISTED = 10;

/** Everything about one host, folded. */
export function hostSection(host: FleetHost): Html {
  const troubles = host.troubles.map(({ error }) => html`<p>${explainShortly(error)}</p>`);
  const paused = host.pausedUntil && html`<p>Its runs are paused until ${humanTime(host.pausedUntil)}.</p>`;
  const facts = troubles.length > 0 || paused ? html`<div class="subject">${troubles}${paused}</div>` : undefined;
  const state = stateOfHost(host);
  return html`<details id="${anchorOf(host)}" data-host="${host.host}" data-state="${state}"><summary>${host.host} ${pill(state)}</summary>
${facts}${host.subjects.map((subject) => subjectSection(host, subject))}</details>
`;
}

function subjectSection({ host }: FleetHost, subject: SubjectView): Html {
  const { points, window } = subject;
  const hidden = points.length - LISTED;
  const more =
    hidden > 0 &&
    html`<p class="note">and ${hidden} older: <code>twindb-backup ls --type ${subject.media} --host ${host}</code></p>`;
  const reach = window && html`<p>Recoverable from ${humanTime(window.from)} to ${humanTime(window.to)}.</p>`;
  return html`<section class="subject"><h3>${nameOfSubject(subject)} ${pill(stateOfSubject(subject))}</h3>
${reach}${gapTexts(subject).map((text) => html`<p class="note">Gap ${text}</p>`)}
<div class="charts">${chartedPoints(points).map(figures)}</div>
<div class="scroll"><table><thead><tr><th>Taken</th><th>Run</th><th class="r">Size</th><th class="r">Took</th><th>State</th><th>Copy</th></tr></thead>
<tbody>${points.slice(-LISTED).toReversed().map(pointRow)}</tbody></table></div>
${more || undefined}</section>
`;
}

type Measured = {
  readonly valueOf: (point: Point) => number | undefined;
  readonly textOf: (value: number) => string;
};

type Charted = ReturnType<typeof chartedPoints>[number];

function figures(charted: Charted): (Html | undefined)[] {
  return [
    figure(charted, "Sizes", { valueOf: ({ bytes }) => bytes, textOf: humanBytes }),
    figure(charted, "Durations", { valueOf: ({ seconds }) => seconds, textOf: clockSeconds }),
  ];
}

function figure({ points, what }: Charted, title: string, { valueOf, textOf }: Measured): Html | undefined {
  const bars = barsOf(points.slice(-LARGE.most), valueOf);
  const values = bars.flatMap(({ value }) => value ?? []);
  if (values.length < 2) return undefined;
  const range = `${textOf(Math.min(...values))} to ${textOf(Math.max(...values))}`;
  const caption = `${title} of the last ${bars.length} ${what}, ${range}`;
  return html`<figure><figcaption>${caption}</figcaption>${drawBars(bars, LARGE, caption)}</figure>`;
}

function pointRow(point: Point): Html {
  const run = [point.interval, point.kind].filter((word) => word !== undefined).join(", ");
  return html`<tr><td>${humanTime(point.at)}</td><td>${run}</td><td class="r">${sizeOf(point.bytes)}</td><td class="r">${durationOf(point.seconds)}</td><td>${stateOf(point)}</td><td class="key">${point.key}</td></tr>
`;
}

function stateOf({ good, verifiedAt, preserved }: Point): Html {
  const words = [verifiedAt === undefined ? "stored" : "verified", ...(preserved ? ["preserved"] : [])];
  return good ? html`${words.join(", ")}` : html`${pill("broken")}${preserved ? " preserved" : ""}`;
}
