import { createSocket } from "node:dgram";

/** One measure as a server of StatsD takes it. */
export type Measure = {
  readonly name: string;
  readonly value: number;
  readonly type: string;
  readonly tags: Readonly<Record<string, string>>;
};

/** Read the lines of a packet; tags as DogStatsD and telegraf have them. @throws {Error} on a line that is none. */
export function readStatsd(packet: string): Measure[] {
  return packet.split("\n").map((line) => {
    const match = /^([A-Za-z0-9_.-]+):(-?\d+(?:\.\d+)?)\|(ms|g|c)(?:\|#([^|\s#]+))?$/.exec(line);
    if (match === null) throw new Error(`no line of StatsD: ${line}`);
    const [, name = "", value = "", type = "", tags = ""] = match;
    const pairs = tags === "" ? [] : tags.split(",").map((tag) => tag.split(/:(.*)/s).slice(0, 2) as [string, string]);
    return { name, value: Number(value), type, tags: Object.fromEntries(pairs) };
  });
}

/** A server of StatsD on a free port of this host. */
export class StatsdServer implements AsyncDisposable {
  readonly packets: string[] = [];
  readonly #socket = createSocket("udp4");

  static async start(): Promise<StatsdServer> {
    const server = new StatsdServer();
    server.#socket.on("message", (message) => server.packets.push(message.toString()));
    await new Promise<void>((resolve) => {
      server.#socket.bind(0, "127.0.0.1", resolve);
    });
    return server;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** Everything that came so far. */
  get measures(): Measure[] {
    return this.packets.flatMap(readStatsd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#socket.close(resolve);
    });
  }
}
