/**
 * Bytes that are consumed once, in order.
 *
 * The one law: **a byte stream that ends has succeeded.** Whoever produces bytes throws instead of
 * ending when its program failed, was killed, wrote nothing or quit without reading all its input.
 *
 * A chunk is valid until the next one is pulled: who keeps it, copies it.
 */
export type ByteStream = AsyncIterable<Uint8Array>;

/** What was counted while a stream passed: its length and lower-case hex SHA-256. */
export type Digest = { readonly bytes: number; readonly sha256: string };
