/** Where system programs live; cron's own PATH lacks half of them. */
const SYSTEM_PATHS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** What programs keep of our own environment: who we are, the agents of ssh and gpg, and where temporary files go. */
const KEPT = ["HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "GNUPGHOME", "TMPDIR", "XDG_RUNTIME_DIR"];

/** The search path for programs: ours, then the system's directories. */
export function searchPath(): string[] {
  const own = (process.env["PATH"] ?? "").split(":").filter((directory) => directory.startsWith("/"));
  return [...new Set([...own, ...SYSTEM_PATHS])];
}

/**
 * The small environment a program gets: messages in English and UTC, nothing that changes how programs
 * load code, and none of our secrets.
 */
export function childEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = KEPT.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), PATH: searchPath().join(":"), LC_ALL: "C", TZ: "UTC", ...extra };
}
