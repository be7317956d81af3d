import type { SubjectView } from "../../domain/fleet.ts";
import { clockSeconds, humanBytes, humanSeconds, humanTime } from "../../domain/human.ts";
import { type FleetState, trendText } from "../fleet-rows.ts";
import { type Html, html } from "./html.ts";

/** A change of size by more than this is worth a second look. */
const MUCH = 0.5;

/** A state in a word, for eyes that cannot tell its colour too. */
export function pill(state: FleetState | "paused"): Html {
  return html`<span class="pill ${state}">${state === "empty" ? "no copies" : state}</span>`;
}

/** A moment as its age, with the moment itself on a closer look. */
export function ageOf(at: Date | undefined, now: Date): Html {
  if (at === undefined) return html`<span class="soft">never</span>`;
  const age = humanSeconds((now.getTime() - at.getTime()) / 1000);
  return html`<time datetime="${at.toISOString()}" title="${humanTime(at)}">${age}</time>`;
}

export function trendOf({ trend }: SubjectView): Html {
  const isMuch = trend !== undefined && Math.abs(trend - 1) > MUCH;
  return isMuch ? html`<span class="much">${trendText(trend)}</span>` : html`${trendText(trend)}`;
}

export function sizeOf(bytes: number | undefined): string {
  return bytes === undefined ? "" : humanBytes(bytes);
}

export function durationOf(seconds: number | undefined): string {
  return seconds === undefined ? "" : clockSeconds(seconds);
}

/** A moment to the minute, with its seconds on a closer look. */
export function minuteOf(at: Date): Html {
  const text = humanTime(at);
  return html`<time datetime="${at.toISOString()}" title="${text}">${text.slice(0, 16)}</time>`;
}
