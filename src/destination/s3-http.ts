import { type ClientRequest, type IncomingMessage, Agent as PlainAgent, request as plainRequest } from "node:http";
import { Agent as TlsAgent, request as tlsRequest } from "node:https";
import { constants } from "node:os";
import type { Clocks } from "./s3-failure.ts";

/** A signed request. */
export type WireRequest = {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>> | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
};

/** An answer whose headers have arrived. */
export type WireResponse = {
  readonly statusCode: number;
  readonly reason: string;
  readonly headers: Record<string, string>;
  readonly body: IncomingMessage;
};

export type WireOptions = {
  /** Certificates to trust besides those that Node.js does. */
  readonly certificate?: string | undefined;
  readonly connectMilliseconds?: number | undefined;
  /** Longest time in which nothing moves, in either direction. */
  readonly idleMilliseconds?: number | undefined;
};

const CONNECT_MS = 15_000;
const IDLE_MS = 60_000;
/** Publishing an object of many parts keeps some servers busy for minutes before they answer. */
const COMMIT_IDLE_MS = 600_000;
/** Of a body at once, so that what TLS makes of a part is not in memory as a whole. */
const SLICE_BYTES = 256 * 1024;
/** Of a response to have in memory at once. */
const READ_AHEAD_BYTES = 256 * 1024;

/**
 * Carries requests of the SDK over node:http and node:https: an answer's body is the socket's own stream, which costs less
 * than what the SDK wraps around it; a connection where nothing moves is given up; and when a call has settled,
 * nobody reads its body any more.
 */
export class Wire {
  readonly #idleMs: number;
  readonly #connectMs: number;
  readonly #plain: PlainAgent;
  readonly #tls: TlsAgent;
  #clocks: Clocks | undefined;

  constructor({ certificate, connectMilliseconds = CONNECT_MS, idleMilliseconds = IDLE_MS }: WireOptions = {}) {
    this.#connectMs = connectMilliseconds;
    this.#idleMs = idleMilliseconds;
    const agent = { keepAlive: true, maxFreeSockets: 32, highWaterMark: READ_AHEAD_BYTES };
    this.#plain = new PlainAgent({ ...agent, proxyEnv: process.env });
    this.#tls = new TlsAgent({
      ...agent,
      proxyEnv: process.env,
      ...(certificate !== undefined && { ca: certificate }),
    });
  }

  /** What the clocks showed when the server last answered. */
  get clocks(): Clocks | undefined {
    return this.#clocks;
  }

  readonly metadata = { handlerProtocol: "http/1.1" };

  updateHttpClientConfig(): void {}

  httpHandlerConfigs(): Record<string, never> {
    return {};
  }

  destroy(): void {
    this.#plain.destroy();
    this.#tls.destroy();
  }

  async handle(
    request: WireRequest,
    { abortSignal }: { readonly abortSignal?: unknown } = {},
  ): Promise<{ response: WireResponse }> {
    const signal = abortSignal instanceof AbortSignal ? abortSignal : undefined;
    signal?.throwIfAborted();
    const response = await this.#exchange(request, signal);
    const server = new Date(response.headers.date ?? "");
    if (!Number.isNaN(server.getTime())) this.#clocks = { server, here: new Date() };
    return {
      response: {
        statusCode: response.statusCode ?? 0,
        reason: response.statusMessage ?? "",
        headers: oneOfEach(response.headers),
        body: response,
      },
    };
  }

  #exchange(request: WireRequest, signal: AbortSignal | undefined): Promise<IncomingMessage> {
    const wired = this.#open(request);
    const answer = answerTo(wired, signal);
    watch(wired, { connectMs: this.#connectMs, idleMs: isCommit(request) ? COMMIT_IDLE_MS : this.#idleMs });
    send(wired, request.body);
    return answer;
  }

  #open(request: WireRequest): ClientRequest {
    const options = {
      method: request.method,
      host: request.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: request.port,
      path: pathOf(request),
      headers: request.headers,
    };
    if (request.protocol === "http:") return plainRequest({ ...options, agent: this.#plain });
    return tlsRequest({ ...options, agent: this.#tls });
  }
}

/**
 * What the server answers, once its headers have arrived. Knows nothing of the body that is sent: a connection that is kept holds on to its
 * last request, and would to that.
 */
function answerTo(wired: ClientRequest, signal: AbortSignal | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    let response: IncomingMessage | undefined;
    let failure: unknown;
    // Before its "close" the socket may still read from the body.
    wired.on("error", (error) => (failure ??= error));
    const onAbort = () => {
      failure ??= signal?.reason;
      (response ?? wired).destroy(signal?.reason instanceof Error ? signal.reason : undefined);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    wired.once("close", () => {
      signal?.removeEventListener("abort", onAbort);
      reject(failure ?? systemError("ECONNRESET", "socket hang up"));
    });
    wired.once("response", (arrived) => {
      response = arrived;
      resolve(arrived);
    });
  });
}

function isCommit({ method, query }: WireRequest): boolean {
  return method === "POST" && query?.["uploadId"] !== undefined;
}

/** Give up a request that cannot connect, or on whose connection nothing moves while we wait for it. */
function watch(wired: ClientRequest, { connectMs, idleMs }: { connectMs: number; idleMs: number }): void {
  let response: IncomingMessage | undefined;
  wired.once("response", (arrived) => (response = arrived));
  wired.once("socket", (socket) => {
    const give = () => wired.destroy(systemError("ETIMEDOUT", `no connection within ${connectMs / 1000} seconds`));
    const timer = socket.connecting ? setTimeout(give, connectMs) : undefined;
    const connected = "encrypted" in socket ? "secureConnect" : "connect";
    const onConnect = () => clearTimeout(timer);
    const onIdle = () => {
      // With bytes waiting to be read it is us who are slow.
      if (response !== undefined && response.readableLength > 0) socket.setTimeout(idleMs);
      else (response ?? wired).destroy(systemError("ETIMEDOUT", `nothing came for ${idleMs / 1000} seconds`));
    };
    socket.setTimeout(idleMs).on("timeout", onIdle).on(connected, onConnect);
    wired.once("close", () => {
      // The next request may have the same socket.
      clearTimeout(timer);
      socket.setTimeout(0).off("timeout", onIdle).off(connected, onConnect);
    });
  });
}

const NOTHING = new Uint8Array(0);

/** Write the body, and stop when the server has refused it. What was written is let go of: it may be a large buffer that is not used again. */
function send(wired: ClientRequest, body: unknown): void {
  let rest = bytesOf(body);
  let isRefused = false;
  // One piece at a time: TLS copies what lies in its queue before it encrypts it.
  const more = (error?: Error | null): void => {
    if (isRefused || error instanceof Error) return;
    const slice = rest.subarray(0, SLICE_BYTES);
    rest = slice.length === rest.length ? NOTHING : rest.subarray(slice.length);
    if (slice.length > 0) wired.write(slice, more);
    else wired.end();
  };
  wired.once("response", (response) => {
    isRefused = (response.statusCode ?? 0) >= 300 && !wired.writableEnded;
    if (!isRefused) return;
    rest = NOTHING;
    response.once("end", () => wired.destroy());
  });
  more();
}

function bytesOf(body: unknown): Uint8Array {
  if (typeof body === "string") return Buffer.from(body);
  return body instanceof Uint8Array ? body : NOTHING;
}

/** The URL of a request. */
export function formatUrl(request: WireRequest): string {
  return `${request.protocol}//${hostOf(request)}${pathOf(request)}`;
}

/** The server of a request, as its header names it. */
export function hostOf({ hostname, port }: WireRequest): string {
  return port === undefined ? hostname : `${hostname}:${port}`;
}

function pathOf({ path, query }: WireRequest): string {
  const text = queryOf(query);
  return text === "" ? path : `${path}?${text}`;
}

function queryOf(query: WireRequest["query"]): string {
  return Object.keys(query ?? {})
    .sort()
    .flatMap((name) => {
      const value = query?.[name];
      if (value === null || value === undefined) return [escaped(name)];
      const values = typeof value === "string" ? [value] : value;
      return values.map((one) => `${escaped(name)}=${escaped(one)}`);
    })
    .join("&");
}

/** As the signature has it. */
function escaped(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}

function oneOfEach(headers: IncomingMessage["headers"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : (value ?? "")]),
  );
}

function systemError(code: "ETIMEDOUT" | "ECONNRESET", message: string): Error {
  return Object.assign(new Error(message), { code, errno: -constants.errno[code] });
}
