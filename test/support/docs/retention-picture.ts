import type { MysqlCopy } from "../../../src/domain/copy.ts";
import { decide, type RetentionPolicy } from "../../../src/domain/retention.ts";
import { at, fullCopy, increment } from "../copies.ts";

const POLICY: RetentionPolicy = { hourly: 4, daily: 3, weekly: 0, monthly: 0, yearly: 0 };

const STYLE = `text { font: 13px sans-serif; fill: #333 } .small { font-size: 11px; fill: #555 }
    .full, .parent { fill: #2b6cb0 } .increment { fill: #90cdf4 } .gone { fill: #fff; stroke: #999; stroke-dasharray: 3 2 }
    .parent { stroke: #c05621; stroke-width: 3 } path { fill: none; stroke: #c05621 }`;

const WIDTH_OF_DAY = 90;

/** Seven days of a server: a full copy each morning, and an increment at some hours of some days. */
function copies(): MysqlCopy[] {
  const hours = [[4, 9], [8], [11], [], [], [12], [4, 8]];
  return hours.flatMap((ofDay, day) => {
    const full = fullCopy(at(day + 1, 0));
    return [full, ...ofDay.map((hour) => increment(at(day + 1, hour), full.key))];
  });
}

function placeOf(copy: MysqlCopy): number {
  return (
    90 + WIDTH_OF_DAY * (copy.startedAt.getDate() - 1) + Math.round((WIDTH_OF_DAY / 14) * copy.startedAt.getHours())
  );
}

/** A picture, as SVG, of what retention keeps of a server's copies, and why: as `decide()` says. */
export function retentionPicture(): string {
  const decisions = decide(copies(), POLICY);
  const kept = new Map(decisions.flatMap((each) => (each.keep ? [[each.copy.key, each.reason] as const] : [])));
  const boxes = decisions.map(({ copy }) => {
    const reason = kept.get(copy.key);
    const kind = copy.kind === "full" ? (reason === "parent" ? "parent" : "full") : "increment";
    const size = copy.kind === "full" ? 'y="75" width="24" height="30"' : 'y="140" width="14" height="20"';
    return `<rect class="${reason === undefined ? "gone" : kind}" x="${placeOf(copy)}" ${size}/>`;
  });
  const arrows = decisions.flatMap(({ copy }) => {
    if (copy.kind === "full" || !kept.has(copy.key)) return [];
    const [from, day] = [
      placeOf(copy) + 7,
      placeOf(copy) - Math.round((WIDTH_OF_DAY / 14) * copy.startedAt.getHours()),
    ];
    return [`<path d="M${from} 138 Q${from - 10} 118 ${day + 26} 106"/>`];
  });
  const legend = [
    ["full", 90, "full copy"],
    ["increment", 190, "increment, and the full copy it needs"],
    ["parent", 440, "kept as a parent only"],
    ["gone", 610, "removed"],
  ].flatMap(([kind, x, text]) => [
    `<rect class="${kind}" x="${x}" y="200" width="16" height="16"/>`,
    `<text class="small" x="${Number(x) + 22}" y="212">${text}</text>`,
  ]);
  return [
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 230" role="img" aria-label="Copies of a server over a week: which stay, and why">',
    `<style>\n    ${STYLE}\n  </style>`,
    '<rect width="760" height="230" fill="#fff"/>',
    `<text x="12" y="30">daily_copies = ${POLICY.daily}, hourly_copies = ${POLICY.hourly}</text>`,
    '<text x="12" y="95">daily</text>',
    '<text x="12" y="155">hourly</text>',
    ...boxes,
    ...arrows,
    ...legend,
  ]
    .join("\n  ")
    .concat("\n</svg>\n");
}
