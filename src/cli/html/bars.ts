import type { Point } from "../../domain/fleet.ts";
import { type Html, html } from "./html.ts";

/** Bars of a chart, oldest first. `undefined` is drawn as nothing. */
export type Bar = { readonly value: number | undefined; readonly look: "full" | "increment" | "broken" };

type Size = { readonly step: number; readonly height: number; readonly most: number };

/** In a line of a table, and in a section of its own. */
export const SMALL: Size = { step: 3, height: 24, most: 40 };
export const LARGE: Size = { step: 6, height: 72, most: 90 };

const LOOKS = ["full", "increment", "broken"] as const;

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
  const offset = width - shown.length * step;
  const paths = LOOKS.flatMap((look) => {
    const strokes = shown.flatMap((bar, index) => {
      if (bar.look !== look || bar.value === undefined || top === 0) return [];
      // A copy of nothing is one all the same.
      const length = Math.max(1, Math.round((bar.value / top) * height));
      return [`M${offset + index * step + step / 2} ${height}v-${length}`];
    });
    return strokes.length === 0 ? [] : [html`<path class="${look}" d="${strokes.join("")}"/>`];
  });
  return html`<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${label}"><g stroke-width="${step - 1}">${paths}</g></svg>`;
}
