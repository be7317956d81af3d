/** The run types of the cron file, shortest first. */
export const INTERVALS = ["hourly", "daily", "weekly", "monthly", "yearly"] as const;

/** How often a run happens; also the folder its copies live in. */
export type Interval = (typeof INTERVALS)[number];

/** Whether `text` is the name of a run type, spelt exactly. */
export function isInterval(text: string): text is Interval {
  return (INTERVALS as readonly string[]).includes(text);
}
