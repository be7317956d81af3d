import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How a key is generated: see `gpg --quick-generate-key`. */
export type KeyRequest = {
  readonly userId: string;
  readonly algorithm?: string;
  readonly expires?: string;
  /** As `--faked-system-time` takes it: `20200101T000000`. */
  readonly madeAt?: string;
};

/** A GnuPG home for one test file, with real keys without passphrase. */
export class GnupgHome implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "tb-gnupg-test-"));

  gpg(args: readonly string[], input: string | Uint8Array = ""): Buffer {
    return execFileSync("gpg", ["--batch", "--yes", "--no-tty", "--homedir", this.directory, ...args], {
      input,
      stdio: ["pipe", "pipe", "ignore"],
      env: { ...process.env, LC_ALL: "C" },
    });
  }

  /** @returns the fingerprint of the new key, an Ed25519 one with a Curve25519 subkey unless asked otherwise. */
  generate({ userId, algorithm = "ed25519", expires = "never", madeAt }: KeyRequest): string {
    const make = [...(madeAt === undefined ? [] : ["--faked-system-time", madeAt]), "--passphrase", ""];
    this.gpg([
      ...make,
      "--quick-generate-key",
      userId,
      algorithm === "ed25519" ? "ed25519" : algorithm,
      "default",
      expires,
    ]);
    const fingerprint = this.fingerprints(userId).at(-1) ?? "";
    if (algorithm === "ed25519") {
      this.gpg([...make, "--quick-add-key", fingerprint, "cv25519", "encr", expires]);
    }
    return fingerprint;
  }

  fingerprints(userId: string): string[] {
    const lines = this.gpg(["--with-colons", "--list-keys", `=${userId}`])
      .toString()
      .split("\n");
    const primary = lines.filter((line, index) => line.startsWith("fpr:") && lines[index - 1]?.startsWith("pub:"));
    return primary.map((line) => line.split(":")[9] ?? "");
  }

  /** Write a file below the home. @returns its path. */
  file(name: string, content: Uint8Array): string {
    const path = join(this.directory, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  [Symbol.dispose](): void {
    execFileSync("gpgconf", ["--homedir", this.directory, "--kill", "all"]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
