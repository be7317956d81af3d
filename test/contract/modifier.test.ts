import { afterAll, beforeAll } from "vitest";
import { compress } from "../../src/modifier/compress.ts";
import { openGpg } from "../../src/modifier/gpg.ts";
import type { Modifier } from "../../src/modifier/modifier.ts";
import { COMPRESSORS } from "../../src/modifier/options.ts";
import { GnupgHome } from "../support/gnupg.ts";
import { modifierContract } from "./modifier.ts";

for (const program of COMPRESSORS.filter((name) => name !== "none")) {
  const open = async () => compress({ program, threads: undefined, level: undefined }) as Modifier;
  modifierContract(program, open, { ignoresGarbage: program === "bzip2" || program === "lbzip2" });
}

let home: GnupgHome;
let recipient: string;

beforeAll(() => {
  home = new GnupgHome();
  recipient = home.generate({ userId: "Back Up <backup@example.com>" });
});

afterAll(() => home[Symbol.dispose]());

modifierContract("gpg", () =>
  openGpg(
    { recipient, keyring: undefined, secretKeyring: undefined, homedir: home.directory },
    { signal: new AbortController().signal },
  ),
);
