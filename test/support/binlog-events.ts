import { crc32 } from "node:zlib";

/** The fields of an event; its checksum is made. */
type Parts = {
  readonly type: number;
  readonly end: number;
  readonly body: Buffer;
  readonly flags?: number;
  readonly at?: number;
};

export function eventOf({ type, end, body, flags = 0, at = 1000 }: Parts): Buffer {
  const event = Buffer.alloc(19 + body.length + 4);
  event.writeUInt32LE(at, 0);
  event.writeUInt8(type, 4);
  event.writeUInt32LE(1, 5);
  event.writeUInt32LE(event.length, 9);
  event.writeUInt32LE(end, 13);
  event.writeUInt16LE(flags, 17);
  body.copy(event, 19);
  event.writeUInt32LE(crc32(event.subarray(0, -4)), event.length - 4);
  return event;
}

/** Body of an event that describes the format of MySQL 8, with checksums. */
export function formatBody(version = "8.4.0"): Buffer {
  const body = Buffer.alloc(2 + 50 + 4 + 1 + 41 + 1);
  body.writeUInt16LE(4, 0);
  body.write(version, 2, "latin1");
  body.writeUInt8(19, 56);
  body.writeUInt8(1, body.length - 1);
  return body;
}

/** The first event of a log. */
export function format(end = 4 + 19 + 99 + 4, changes: Partial<Parts> = {}): Buffer {
  return eventOf({ type: 15, end, body: formatBody(), ...changes });
}

/** What a server makes up to tell which log follows. */
export function rotation(name: string): Buffer {
  const body = Buffer.concat([Buffer.from([4, 0, 0, 0, 0, 0, 0, 0]), Buffer.from(name)]);
  return eventOf({ type: 4, end: 0, body, flags: 0x20, at: 0 });
}

/** An event that lies at `start`. */
export function query(start: number, text = "q"): Buffer {
  const body = Buffer.from(text.repeat(10));
  return eventOf({ type: 2, end: start + 19 + body.length + 4, body });
}
