import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BackupError } from "../../../src/domain/errors.ts";
import { applyAll, revertAll } from "../../../src/modifier/chain.ts";
import { type Decoding, explainDecoding, openDecoding } from "../../../src/modifier/decode.ts";
import { openGpg } from "../../../src/modifier/gpg.ts";
import type { GpgOptions } from "../../../src/modifier/options.ts";
import { collect } from "../../contract/modifier.ts";
import { GnupgHome } from "../../support/gnupg.ts";

const signal = new AbortController().signal;
const CONTENT = Buffer.from("a copy of something\n".repeat(20_000));

let home: GnupgHome;
let empty: GnupgHome;
let good: string;

beforeAll(() => {
  home = new GnupgHome();
  empty = new GnupgHome();
  good = home.generate({ userId: "Back Up <backup@example.com>" });
});

afterAll(() => {
  home[Symbol.dispose]();
  empty[Symbol.dispose]();
});

function options(more: Partial<GpgOptions> = {}): GpgOptions {
  return { recipient: good, keyring: undefined, secretKeyring: undefined, homedir: home.directory, ...more };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

async function encrypted(gpg: GpgOptions, content = CONTENT): Promise<Buffer> {
  return collect(applyAll(once(content), [await openGpg(gpg, { signal })], { signal }));
}

async function decrypted(stored: Buffer, gpg: GpgOptions | undefined): Promise<Buffer> {
  await using decoding = await openDecoding(
    { name: "db7/x.gpg", suffixes: [".gpg"], head: stored.subarray(0, 65_536) },
    { gpg, signal },
  );
  return await collect(revertAll(once(stored), decoding.decoders, { signal }));
}

async function refusal(promise: Promise<unknown>): Promise<BackupError> {
  return promise.then(
    () => expect.fail("it was accepted"),
    (error: unknown) => error as BackupError,
  );
}

const GPG_HOME_PREFIX = "twindb-backup-gnupg-";

function privateHomes(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith(GPG_HOME_PREFIX));
}

describe("openGpg()", () => {
  test.each([
    ["a fingerprint", () => good],
    ["a fingerprint with spaces", () => (good.match(/.{4}/g) ?? []).join(" ")],
    ["a long key id", () => good.slice(-16)],
    ["an e-mail address", () => "backup@example.com"],
    ["a part of the user id", () => "Back Up"],
  ])("openGpg() resolves %s to the full fingerprint", async (_, recipient) => {
    const { args } = (await openGpg(options({ recipient: recipient() }), { signal })).apply;
    expect(args[args.indexOf("--recipient") + 1]).toBe(good);
  });

  test("the command lines of gpg are those of the golden file", async () => {
    const keyring = home.file("golden.gpg", home.gpg(["--export", good]));
    const recipient = home.file("golden.asc", home.gpg(["--armor", "--export", good]));
    const cases = {
      "a home": options(),
      "a keyring": options({ keyring }),
      "a key file": options({ recipient }),
    };
    const lines: string[] = [];
    for (const [name, gpg] of Object.entries(cases)) {
      const { apply, revert } = await openGpg(gpg, { signal });
      for (const [verb, { args }] of Object.entries({ encrypt: apply, decrypt: revert })) {
        const line = args.join(" ").replaceAll(home.directory, "/HOME").replaceAll(good, "FINGERPRINT");
        lines.push(`${verb} with ${name}: gpg ${line}\n`);
      }
    }
    await expect(lines.join("")).toMatchFileSnapshot("../../golden/argv/gpg.txt");
  });

  test("openGpg() refuses an address that two keys have, and names both", async () => {
    const keys = [1, 2].map((n) => home.generate({ userId: `Twin ${n} <twin@example.com>` }));
    const error = await refusal(openGpg(options({ recipient: "twin@example.com" }), { signal }));
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.message).toContain('Cannot encrypt to "twin@example.com": it matches 2 keys, one is needed: ');
    for (const key of keys) expect(error.message).toContain(key);
  });

  test("openGpg() takes the key with exactly the address rather than one that contains it", async () => {
    home.generate({ userId: "Other <notexact@example.com>" });
    const exact = home.generate({ userId: "Exact <exact@example.com>" });
    const { args } = (await openGpg(options({ recipient: "exact@example.com" }), { signal })).apply;
    expect(args).toContain(exact);
  });

  test("openGpg() passes over the expired key of an address that has a newer one", async () => {
    home.generate({ userId: "Old <rotated@example.com>", expires: "1y", madeAt: "20200101T000000" });
    const newer = home.generate({ userId: "New <rotated@example.com>" });
    const { args } = (await openGpg(options({ recipient: "rotated@example.com" }), { signal })).apply;
    expect(args).toContain(newer);
  });

  test("openGpg() refuses an expired key", async () => {
    const key = home.generate({ userId: "Expired <expired@example.com>", expires: "1y", madeAt: "20200101T000000" });
    const { message } = await refusal(openGpg(options({ recipient: key }), { signal }));
    expect(message).toMatch(/^Cannot encrypt to "[0-9A-F]{40}": it expired on \d{4}-\d\d-\d\d$/);
  });

  test("openGpg() refuses a revoked key", async () => {
    const key = home.generate({ userId: "Revoked <revoked@example.com>" });
    const file = join(home.directory, "openpgp-revocs.d", `${key}.rev`);
    home.gpg(["--import"], readFileSync(file, "utf8").replace(":-----BEGIN", "-----BEGIN"));
    const { message } = await refusal(openGpg(options({ recipient: key }), { signal }));
    expect(message).toBe(`Cannot encrypt to "${key}": it was revoked`);
  });

  test("openGpg() refuses a disabled key", async () => {
    const key = home.generate({ userId: "Disabled <disabled@example.com>" });
    const edit = ["--no-tty", "--homedir", home.directory, "--command-fd", "0", "--edit-key", key];
    execFileSync("gpg", edit, { input: "disable\nquit\n", stdio: ["pipe", "ignore", "ignore"] });
    const { message } = await refusal(openGpg(options({ recipient: key }), { signal }));
    expect(message).toBe(`Cannot encrypt to "${key}": it is disabled`);
  });

  test("openGpg() refuses a key that cannot encrypt", async () => {
    home.gpg(["--passphrase", "", "--quick-generate-key", "Signer <signer@example.com>", "ed25519", "sign", "never"]);
    const { message, hint } = await refusal(openGpg(options({ recipient: "signer@example.com" }), { signal }));
    expect(message).toBe('Cannot encrypt to "signer@example.com": it has no subkey that can encrypt');
    expect(hint).toContain("Set recipient under [gpg]");
  });

  test("openGpg() refuses a recipient nobody has a key of", async () => {
    const error = await refusal(openGpg(options({ recipient: "nobody@example.com" }), { signal }));
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.message).toBe('Cannot encrypt to "nobody@example.com": there is no such public key');
  });

  test("openGpg() does not take a recipient for an option", async () => {
    const { message } = await refusal(openGpg(options({ recipient: "--version" }), { signal }));
    expect(message).toBe('Cannot encrypt to "--version": there is no such public key');
  });

  test("openGpg() names a keyring and a key file that are missing", async () => {
    const keyring = "/nonexistent/pubring.gpg";
    expect((await refusal(openGpg(options({ keyring }), { signal }))).message).toBe(
      `Cannot use the keys in "${keyring}": there is no such file`,
    );
    expect((await refusal(openGpg(options({ recipient: "/nonexistent/key.asc" }), { signal }))).message).toBe(
      'Cannot use the keys in "/nonexistent/key.asc": there is no such file',
    );
  });

  test("openGpg() refuses a key file without a public key", async () => {
    const recipient = home.file("note.txt", Buffer.from("no key at all\n"));
    const { code, message } = await refusal(openGpg(options({ recipient }), { signal }));
    expect([code, message]).toEqual([
      "CONFIG_INVALID",
      `Cannot encrypt to "${recipient}": there is no such public key`,
    ]);
  });

  test("openGpg() encrypts to a public key file with an empty home", async () => {
    const recipient = home.file("public key.asc", home.gpg(["--armor", "--export", good]));
    const stored = await encrypted(options({ recipient, homedir: empty.directory }));
    expect((await decrypted(stored, options())).equals(CONTENT)).toBe(true);
  });

  test("openGpg() uses the keys of the keyring only", async () => {
    const keyring = home.file("backup.gpg", home.gpg(["--export", good]));
    await (await openGpg(options({ keyring, homedir: empty.directory }), { signal })).check({ signal });
    const { message } = await refusal(openGpg(options({ keyring, recipient: "exact@example.com" }), { signal }));
    expect(message).toContain("there is no such public key");
  });

  test("check() fails when the key has gone meanwhile", async () => {
    const keyring = home.file("gone.gpg", home.gpg(["--export", good]));
    const modifier = await openGpg(options({ keyring, homedir: empty.directory }), { signal });
    rmSync(keyring);
    const { code, message } = await refusal(modifier.check({ signal }));
    expect(code).toBe("CONFIG_INVALID");
    expect(message).toContain(`Cannot encrypt to "${good}": `);
  });
});

describe("openDecoding() of .gpg", () => {
  test("openDecoding() opens a copy with the key of the home", async () => {
    expect((await decrypted(await encrypted(options()), options({ recipient: undefined }))).equals(CONTENT)).toBe(true);
  });

  test("openDecoding() opens a copy that is shorter than the head", async () => {
    const tiny = Buffer.from("x");
    expect((await decrypted(await encrypted(options(), tiny), options())).equals(tiny)).toBe(true);
  });

  test("openDecoding() imports a secring.gpg into a private home, and leaves none behind", async () => {
    const before = privateHomes();
    const secretKeyring = home.file("secring.gpg", home.gpg(["--export-secret-keys", good]));
    const gpg = options({ secretKeyring, homedir: empty.directory });
    const stored = await encrypted(options());
    let during: string[] = [];
    {
      const head = stored.subarray(0, 65_536);
      await using decoding: Decoding = await openDecoding(
        { name: "db7/x.gpg", suffixes: [".gpg"], head },
        { gpg, signal },
      );
      during = privateHomes();
      const content = await collect(revertAll(once(stored), decoding.decoders, { signal }));
      expect(content.equals(CONTENT)).toBe(true);
    }
    expect(during.length).toBe(before.length + 1);
    expect(privateHomes()).toEqual(before);
    expect(agentsBelow(tmpdir())).toEqual([]);
  });

  test("openDecoding() prefers a key of the home to a stale secring.gpg", async () => {
    const other = home.generate({ userId: "Stale <stale@example.com>" });
    const secretKeyring = home.file("stale.gpg", home.gpg(["--export-secret-keys", other]));
    expect((await decrypted(await encrypted(options()), options({ secretKeyring }))).equals(CONTENT)).toBe(true);
  });

  test("openDecoding() refuses a copy no key here opens, before anything is read", async () => {
    const stored = await encrypted(options());
    const before = privateHomes();
    const gpg = options({ homedir: empty.directory });
    const error = await refusal(openDecoding({ name: "db7/x.gpg", suffixes: [".gpg"], head: stored }, { gpg, signal }));
    expect(error.code).toBe("NOT_PERMITTED");
    expect(error.message).toBe('Cannot decrypt "db7/x.gpg": decryption failed: No secret key');
    expect(error.hint).toContain(`Import the secret key into ${empty.directory}`);
    const wrong = home.file("wrong.gpg", home.gpg(["--export-secret-keys", "stale@example.com"]));
    const second = { ...gpg, secretKeyring: wrong };
    const again = await refusal(
      openDecoding({ name: "db7/x.gpg", suffixes: [".gpg"], head: stored }, { gpg: second, signal }),
    );
    expect(again.code).toBe("NOT_PERMITTED");
    expect(privateHomes()).toEqual(before);
  });

  test("openDecoding() refuses what is not encrypted, also when gpg would pass it through", async () => {
    const stored = home.gpg(["--store"], CONTENT);
    for (const head of [stored, CONTENT, Buffer.from([])]) {
      const error = await refusal(
        openDecoding({ name: "db7/x.gpg", suffixes: [".gpg"], head }, { gpg: options(), signal }),
      );
      expect(error.code).toBe("DATA_DAMAGED");
    }
  });

  test("openDecoding() undoes the last suffix first", async () => {
    const stored = await encrypted(options());
    const suffixes = [".zst", ".gpg"];
    await using decoding = await openDecoding(
      { name: "db7/x.gpg", suffixes, head: stored },
      { gpg: options(), signal },
    );
    expect(decoding.decoders.map(({ suffix }) => suffix)).toEqual([".gpg", ".zst"]);
  });

  test("explainDecoding() calls a cut copy damaged", async () => {
    const stored = await encrypted(options());
    const cut = stored.subarray(0, stored.length - 100);
    await using decoding = await openDecoding(
      { name: "db7/x.gpg", suffixes: [".gpg"], head: cut },
      { gpg: options(), signal },
    );
    const { decoders } = decoding;
    const error = await refusal(collect(revertAll(once(cut), decoders, { signal })));
    expect(explainDecoding(error, "db7/x.gpg", decoders)).toMatchObject({ code: "DATA_DAMAGED", cause: error });
    expect(explainDecoding(error, "db7/x.gpg", [])).toBe(error);
  });
});

/** Command lines of gpg-agents that serve a private home of ours. */
function agentsBelow(directory: string): string[] {
  const start = join(directory, GPG_HOME_PREFIX);
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && existsSync(`/proc/${name}/cmdline`))
    .map((pid) => cmdline(pid))
    .filter((line) => line.includes(start));
}

function cmdline(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It ended while we looked.
    return "";
  }
}
