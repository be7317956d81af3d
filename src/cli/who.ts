import { hostname, userInfo } from "node:os";

/** Who gave a command, for people who read it later: `root@db1`, or the user behind sudo. */
export function whoAmI(): string {
  const behind = process.env["SUDO_USER"];
  return `${behind === undefined || behind === "" ? nameOfUser() : behind}@${hostname()}`;
}

function nameOfUser(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run as a user that has no name.
    return String(process.getuid?.() ?? "unknown");
  }
}
