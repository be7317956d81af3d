import { BackupError } from "../domain/errors.ts";

/** From where on a server is to send its binary logs. */
export type DumpRequest = {
  readonly name: string;
  /** Where an event begins. */
  readonly position: number;
  /** Tells this client from the server's replicas, each of which has another. */
  readonly serverId: number;
  readonly flavour: "mysql" | "mariadb";
};

/** What of the driver's packets and connections is needed to speak a command it does not offer. */
type Packet = {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly end: number;
  isError(): boolean;
  asError(encoding: string): Error;
};

type Wire = {
  readonly clientEncoding: string;
  addCommand(command: DumpCommand): void;
  write(bytes: Buffer): void;
  pause(): void;
  resume(): void;
  _resetSequenceId(): void;
  _bumpSequenceId(packets: number): void;
};

const COM_BINLOG_DUMP = 0x12;

/** MariaDB leaves out the texts of statements otherwise. */
const SEND_ANNOTATIONS = 2;

const EOF = 0xfe;
const HEARTBEAT_SECONDS = 2;

/** A server that is there says so every few seconds. */
const SILENCE_SECONDS = 15;

/** So much may wait to be taken before the server is made to wait. */
const QUEUE_BYTES = 8 * 1024 * 1024;

/**
 * What a session says before it asks for logs: it understands checksums, and every event of MariaDB, so that a server changes nothing of
 * what it sends; and it wants to hear that the server is there.
 */
export const DUMP_SETTINGS: Readonly<Record<DumpRequest["flavour"], readonly string[]>> = {
  mysql: [
    "SET @master_binlog_checksum = 'NONE', @source_binlog_checksum = 'NONE'",
    `SET @master_heartbeat_period = ${HEARTBEAT_SECONDS}000000000, @source_heartbeat_period = ${HEARTBEAT_SECONDS}000000000`,
  ],
  mariadb: [
    "SET @master_binlog_checksum = 'NONE', @mariadb_slave_capability = 4",
    `SET @master_heartbeat_period = ${HEARTBEAT_SECONDS}000000000`,
  ],
};

/** Speaks COM_BINLOG_DUMP, of which the driver would keep no bytes. */
class DumpCommand {
  readonly #request: DumpRequest;
  #isStarted = false;
  readonly onEvent: (event: Buffer) => void;
  /** The driver calls it when the connection is lost. */
  readonly onResult: (error: Error | undefined) => void;

  constructor(request: DumpRequest, handlers: Pick<DumpCommand, "onEvent" | "onResult">) {
    this.#request = request;
    this.onEvent = handlers.onEvent;
    this.onResult = handlers.onResult;
  }

  /** Called by the driver: first without a packet, then with each. @returns whether that was all. */
  execute(packet: Packet | undefined, wire: Wire): boolean {
    if (!this.#isStarted || packet === undefined) {
      this.#isStarted = true;
      wire._resetSequenceId();
      wire.write(commandOf(this.#request));
      wire._bumpSequenceId(1);
      return false;
    }
    if (packet.isError()) {
      this.onResult(packet.asError(wire.clientEncoding));
      return true;
    }
    if (packet.buffer[packet.offset] === EOF && packet.end - packet.offset < 9) {
      this.onResult(undefined);
      return true;
    }
    this.onEvent(packet.buffer.subarray(packet.offset + 1, packet.end));
    return false;
  }
}

function commandOf({ name, position, serverId, flavour }: DumpRequest): Buffer {
  const file = Buffer.from(name, "utf8");
  const bytes = Buffer.alloc(4 + 11 + file.length);
  bytes.writeUIntLE(11 + file.length, 0, 3);
  bytes.writeUInt8(COM_BINLOG_DUMP, 4);
  bytes.writeUInt32LE(position, 5);
  bytes.writeUInt16LE(flavour === "mariadb" ? SEND_ANNOTATIONS : 0, 9);
  bytes.writeUInt32LE(serverId, 11);
  file.copy(bytes, 15);
  return bytes;
}

/**
 * Every event that a server sends, as it sends it, also those that it makes up: all that came since the last pull. Does not end by itself.
 * @param connection of the driver, on which nothing else runs; it is of no use afterwards.
 * @throws what the server answers, or UNREACHABLE when it ends the session or falls silent.
 */
export async function* dumpEvents(connection: unknown, request: DumpRequest): AsyncGenerator<readonly Buffer[], never> {
  const wire = connection as Wire;
  const queue = new EventQueue(wire);
  wire.addCommand(
    new DumpCommand(request, { onEvent: (event) => queue.add(event), onResult: (error) => queue.end(error) }),
  );
  for (;;) yield await queue.take();
}

class EventQueue {
  readonly #wire: Wire;
  #events: Buffer[] = [];
  #bytes = 0;
  #isPaused = false;
  #failure: Error | undefined;
  #wake = (): void => {};

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  add(event: Buffer): void {
    this.#events.push(event);
    this.#bytes += event.length;
    if (this.#bytes > QUEUE_BYTES && !this.#isPaused) {
      this.#isPaused = true;
      this.#wire.pause();
    }
    this.#wake();
  }

  end(error: Error | undefined): void {
    this.#failure ??= error ?? lost("it ended the session");
    this.#wake();
  }

  /** What came before a failure comes before it here, too. */
  async take(): Promise<readonly Buffer[]> {
    if (this.#events.length === 0 && this.#failure === undefined) await this.#some();
    const events = this.#events;
    if (events.length === 0) throw this.#failure ?? lost(`it has said nothing for ${SILENCE_SECONDS} seconds`);
    this.#events = [];
    this.#bytes = 0;
    if (this.#isPaused) {
      this.#isPaused = false;
      // The driver hands over what it had kept back before it returns.
      this.#wire.resume();
    }
    return events;
  }

  /** Wait until something came, or for too long. */
  async #some(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, SILENCE_SECONDS * 1000);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
  }
}

function lost(what: string): BackupError {
  return new BackupError("UNREACHABLE", `Cannot follow the server's binary log: ${what}`, { retryable: true });
}
