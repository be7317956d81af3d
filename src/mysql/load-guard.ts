import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname, join, resolve } from "node:path";

type GuardOptions = {
  /** Where the server listens. */
  readonly socket: string;
  /** Absolute path of the one directory whose files may be loaded. */
  readonly directory: string;
};

/** First byte of an answer that asks the client for a file of its host, whose name follows. A value that is NULL is that byte alone. */
const FILE_REQUEST = 0xfb;
const HEADER_BYTES = 4;

/**
 * A door before a server of MariaDB, through which its client is asked for the files of one directory only: unlike MySQL's, that client
 * cannot be told so, and gives away any file for which a statement asks. Disposing it closes it.
 */
export class LoadGuard implements AsyncDisposable {
  /** Where clients go instead of to the server. */
  readonly socket: string;
  readonly #options: GuardOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #refused: string | undefined;

  private constructor(options: GuardOptions) {
    this.#options = options;
    this.socket = join(dirname(options.socket), "door");
    this.#server = createServer((client) => this.#join(client));
  }

  /** Open it, beside the server's own socket. */
  static async open(options: GuardOptions): Promise<LoadGuard> {
    const guard = new LoadGuard(options);
    guard.#server.listen(guard.socket);
    await once(guard.#server, "listening");
    return guard;
  }

  /** The file of another place that was asked for: the session has ended with that. */
  get refused(): string | undefined {
    return this.#refused;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }

  #join(client: Socket): void {
    const server = connect(this.#options.socket);
    const ends = [client, server];
    const part = (): void => {
      for (const each of ends) {
        each.destroy();
        this.#sockets.delete(each);
      }
    };
    for (const each of ends) {
      this.#sockets.add(each);
      // What broke, the client tells, for whom the session ends.
      each.on("error", part).on("close", part);
    }
    client.pipe(server);
    const packets = new ServerPackets();
    server.on("data", (chunk: Buffer) => {
      for (const packet of packets.take(chunk)) {
        const file = fileAskedFor(packet);
        if (file !== undefined && dirname(resolve(file)) !== this.#options.directory) {
          this.#refused = file;
          part();
          return;
        }
        client.write(packet);
      }
    });
  }
}

/** @returns the name of the file that a packet of a server asks for, if it does. */
function fileAskedFor(packet: Buffer): string | undefined {
  const isRequest = packet.length > HEADER_BYTES + 1 && packet[HEADER_BYTES] === FILE_REQUEST;
  return isRequest ? packet.toString("utf8", HEADER_BYTES + 1) : undefined;
}

/** What a server sends, as whole packets with their headers. */
class ServerPackets {
  #rest: Buffer = Buffer.alloc(0);

  take(chunk: Buffer): Buffer[] {
    const packets: Buffer[] = [];
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + this.#rest.readUIntLE(0, 3);
      if (this.#rest.length < end) break;
      packets.push(this.#rest.subarray(0, end));
      this.#rest = this.#rest.subarray(end);
    }
    return packets;
  }
}
