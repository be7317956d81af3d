const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

const AGE_UNITS = [
  ["d", 86_400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
] as const;

/** A size for people: `1.2 GiB`. */
export function humanBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${BYTE_UNITS[unit]}`;
}

/** A length of time for people, in its largest unit: `3 h`, `12 d`. */
export function humanSeconds(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [name, size] = AGE_UNITS.find(([, size]) => whole >= size * (size === 1 ? 0 : 1)) ?? ["s", 1];
  return `${Math.floor(whole / size)} ${name}`;
}

/** A length of time for people who compare it with a limit: in its largest unit of which there are three at least: `37 h`, `90 min`. */
export function humanAge(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [name, size] = AGE_UNITS.find(([, size]) => whole >= 3 * size) ?? ["s", 1];
  return `${Math.floor(whole / size)} ${name}`;
}

/** A length of time to the second, for something that is running: `1:02:03`, `2:03`. */
export function clockSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = String(rest).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** Local time to the second: `2026-11-21 02:36:45`. */
export function humanTime(at: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** A text that is safe on a terminal: control characters are shown, not sent. */
export function printable(text: string): string {
  return isPlain(text) ? text : text.replaceAll(/\p{Cc}/gu, shown);
}

/** Whether a text is nothing but the visible characters of ASCII, and spaces. */
export function isPlain(text: string): boolean {
  return /^[ -~]*$/.test(text);
}

function shown(character: string): string {
  const escaped = JSON.stringify(character).slice(1, -1);
  // JSON leaves those from 7f to 9f as they are.
  return escaped === character ? `\\u00${character.charCodeAt(0).toString(16)}` : escaped;
}
