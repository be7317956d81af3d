import type { Point } from "../../domain/fleet.ts";
import { type Html, html } from "./html.ts";

/** Bars of a chart, oldest first. `undefined` is drawn as nothing. */
export type Bar = { readonly value: number | undefined; readonly look: "full" | "increment" | "broken" };

type Size = { readonly step: number; readonly height: number; readonly most: number };

/** In a line of a table, and in a section of its own. */
export const SMALL: Size = { step: 3, height: 24, most: 32 };
export const LARGE: Size = { step: 6, height: 72, most: 90 };

const LEAST_FULL = 3;

const LOOKS = ["full", "increment", "broken"] as const;

/** Full copies and increments are of different sizes: they are drawn apart, where there are enough full ones to see anything. */
export function chartedPoints(
  points: readonly Point[],
): { readonly what: string; readonly points: readonly Point[] }[] {
  const full = points.filter(({ kind }) => kind !== "incremental");
  const increments = points.filter(({ kind }) => kind === "incremental");
  if (full.length < LEAST_FULL || increments.length === 0) return [{ what: "copies", points }];
  return [
    { what: "full copies", points: full },
    { what: "increments", points: increments },
  ];
}

/** The bars of some copies. */
export function barsOf(points: readonly Point[], valueOf: (point: Point) => number | undefined): Bar[] {
  return points.map((point) => ({
    value: valueOf(point),
    look: point.good ? (point.kind === "incremental" ? "increment" : "full") : "broken",
  }));
}

/** The last of some values as a drawing, from nothing to the largest; `label` is read out by those who cannot see it. */
export function drawBars(bars: readonly Bar[], { step, height, most }: Size, label: string): Html {
  const shown = bars.slice(-most);
  const top = shown.reduce((highest, { value }) => Math.max(highest, value ?? 0), 0);
  const width = most * step;
  const paths = LOOKS.flatMap((look) => {
    const strokes = shown.flatMap((bar, index) => {
      if (bar.look !== look || bar.value === undefined || top === 0) return [];
      // A copy of nothing is one all the same.
      const length = Math.max(1, Math.round((bar.value / top) * height));
      return [`M${index * step + step / 2} ${height}v-${length}`];
    });
    return strokes.length === 0 ? [] : [html`<path class="${look}" d="${strokes.join("")}"/>`];
  });
  return html`<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" preserveAspectRatio="xMinYMax" role="img" aria-label="${label}"><g stroke-width="${step - 1}">${paths}</g></svg>`;
}
