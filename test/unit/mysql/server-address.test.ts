import { expect, test } from "vitest";
import { addressesOf, type ServerAddress, type ServerChoice, showAddress } from "../../../src/mysql/server-address.ts";

const FOUND = "/run/mysqld/mysqld.sock";
const NOTHING = { host: undefined, port: undefined, socket: undefined };

function shown(
  choice: ServerChoice,
  file: Partial<typeof NOTHING | { host: string; port: number; socket: string }>,
): string[] {
  return addressesOf(choice, { ...NOTHING, ...file }, FOUND).map(showAddress);
}

const CASES: Readonly<Record<string, readonly [ServerChoice, object, readonly string[]]>> = {
  "nothing is named": [{}, {}, [FOUND, "127.0.0.1:3306"]],
  "localhost is named": [{}, { host: "localhost" }, [FOUND]],
  "the file names a socket": [{}, { socket: "/s", port: 3306 }, ["/s"]],
  "the file names a socket and localhost": [{}, { socket: "/s", host: "LOCALHOST" }, ["/s"]],
  "the file names a host": [{}, { host: "127.0.0.1", socket: "/s" }, ["127.0.0.1:3306"]],
  "the file names a port only": [{}, { port: 3307 }, ["127.0.0.1:3307"]],
  "the config names a port only": [{ port: 3307 }, { socket: "/s" }, ["127.0.0.1:3307"]],
  "the config names localhost and a port": [{ hostname: "localhost", port: 3307 }, {}, ["localhost:3307"]],
  "the config names a host": [{ hostname: "db" }, { socket: "/s", host: "x", port: 9 }, ["db:9"]],
  "the config names a socket": [{ socket: "/c", hostname: "db", port: 1 }, { socket: "/s" }, ["/c"]],
  "the config names localhost": [{ hostname: "localhost" }, { host: "db", socket: "/s" }, ["/s"]],
  "an address has colons": [{ hostname: "::1" }, {}, ["[::1]:3306"]],
};

test.each(Object.keys(CASES))("addressesOf() where %s", (name) => {
  const [choice, file, expected] = CASES[name]!;
  expect(shown(choice, file)).toEqual(expected);
});

test("addressesOf() goes to the predecessor's address where no socket was found", () => {
  const tcp: ServerAddress = { kind: "tcp", host: "127.0.0.1", port: 3306 };
  expect(addressesOf({}, NOTHING, undefined)).toEqual([tcp]);
});
