const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** The seconds that a length of time such as `90s`, `15m`, `1h`, `7d` or `3600` means; `undefined` when it is none. */
export function secondsOf(text: string): number | undefined {
  const [, digits = "", unit = "s"] = /^(\d{1,9})([smhd])?$/.exec(text) ?? [];
  const seconds = Number(digits) * (SECONDS[unit] ?? 1);
  return digits !== "" && seconds > 0 ? seconds : undefined;
}
