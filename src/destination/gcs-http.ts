import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";

/** One exchange with a server. `body` is sent as it is, one piece after the other. */
type HttpRequest = {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: readonly Uint8Array[];
  readonly signal: AbortSignal;
};

/** What came back. Its body is read once: with `text()`, or pulled. */
export type HttpAnswer = {
  readonly status: number;
  /** A header by its lower-case name. */
  readonly header: (name: string) => string | undefined;
  /** Ends only when all of it came. */
  readonly body: AsyncIterable<Uint8Array>;
  /** At most `TEXT_LIMIT_BYTES`. */
  readonly text: () => Promise<string>;
};

/** Sends requests over connections that it keeps. Retries nothing; every failure is the system's own error. */
export interface Http {
  send(request: HttpRequest): Promise<HttpAnswer>;
  /** Free the connections. The next request opens them again. */
  close(): void;
}

/** Answers that are read whole are pages of a listing, descriptions of objects and errors. */
const TEXT_LIMIT_BYTES = 32 * 1024 * 1024;

const SLICE_BYTES = 1024 * 1024;

/** Shorter than any server or firewall between keeps a silent connection. */
const IDLE_SOCKET_MILLISECONDS = 20_000;

/** The server kept silent for too long. */
class StalledError extends Error {
  readonly code = "ETIMEDOUT";

  constructor(milliseconds: number) {
    super(`nothing moved for ${milliseconds / 1000} seconds`);
  }
}

/** Breaks an exchange when nothing moves while something is waited for. */
class Patience {
  readonly #milliseconds: number;
  readonly #give: (error: Error) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(milliseconds: number, give: (error: Error) => void) {
    this.#milliseconds = milliseconds;
    this.#give = give;
  }

  begin(): void {
    this.end();
    this.#timer = setTimeout(() => this.#give(new StalledError(this.#milliseconds)), this.#milliseconds);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

/**
 * HTTP over kept connections, through the proxy that the environment names.
 * @param stallMilliseconds how long nothing may move, either way, while it is our turn to wait.
 */
export function openHttp(stallMilliseconds: number): Http {
  const options = { keepAlive: true, timeout: IDLE_SOCKET_MILLISECONDS, proxyEnv: process.env };
  const plain = new HttpAgent(options);
  const secure = new HttpsAgent(options);
  return {
    async send({ method, url, headers, body, signal }) {
      signal.throwIfAborted();
      const length = body.reduce((sum, piece) => sum + piece.length, 0);
      const all = method === "GET" ? headers : { ...headers, "content-length": String(length) };
      const request =
        url.protocol === "http:"
          ? httpRequest(url, { method, headers: all, agent: plain, signal })
          : httpsRequest(url, { method, headers: all, agent: secure, signal });
      try {
        return await exchange(request, { body, stallMilliseconds, signal });
      } catch (error) {
        request.destroy();
        throw signal.aborted ? signal.reason : error;
      }
    },
    close() {
      plain.destroy();
      secure.destroy();
    },
  };
}

type Exchange = Pick<HttpRequest, "body" | "signal"> & { readonly stallMilliseconds: number };

async function exchange(request: ClientRequest, { body, stallMilliseconds, signal }: Exchange): Promise<HttpAnswer> {
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    request.once("response", resolve);
    // For good: a connection may fail once more after its answer, when nobody listens any longer.
    request.on("error", reject);
  });
  const patience = new Patience(stallMilliseconds, (error) => request.destroy(error));
  patience.begin();
  try {
    // A server that has seen enough answers before it has everything.
    await Promise.race([write(request, body, patience), answered]);
    const response = await answered;
    return answerOf(response, { stallMilliseconds, signal, isWritten: request.writableFinished });
  } finally {
    patience.end();
  }
}

/** Never throws: what breaks a request comes out of its answer. */
async function write(request: ClientRequest, body: readonly Uint8Array[], patience: Patience): Promise<void> {
  for (const piece of body) {
    for (let start = 0; start < piece.length && !request.destroyed; start += SLICE_BYTES) {
      const slice = piece.subarray(start, start + SLICE_BYTES);
      await new Promise<void>((resolve) => {
        request.write(slice, () => resolve());
      });
      if (!request.destroyed) patience.begin();
    }
  }
  await new Promise<void>((resolve) => {
    request.end(() => resolve());
  });
}

type Ended = Omit<Exchange, "body"> & { readonly isWritten: boolean };

function answerOf(response: IncomingMessage, ended: Ended): HttpAnswer {
  const body = pulled(response, ended);
  return {
    status: response.statusCode ?? 0,
    header: (name) => {
      const value = response.headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    },
    body,
    text: async () => {
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      for await (const chunk of body) {
        bytes += chunk.length;
        if (bytes > TEXT_LIMIT_BYTES) throw new Error(`the answer is longer than ${TEXT_LIMIT_BYTES} bytes`);
        chunks.push(chunk);
      }
      return Buffer.concat(chunks).toString();
    },
  };
}

/** The time that the puller takes for itself does not count against the server. */
async function* pulled(
  response: IncomingMessage,
  { stallMilliseconds, signal, isWritten }: Ended,
): AsyncGenerator<Uint8Array, void> {
  const patience = new Patience(stallMilliseconds, (error) => response.destroy(error));
  const chunks = response[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  try {
    for (;;) {
      patience.begin();
      const pulled = await chunks.next();
      patience.end();
      // An aborted request may look like one that ended.
      signal.throwIfAborted();
      if (pulled.done === true) return;
      yield pulled.value;
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    patience.end();
    response.destroy();
    // What was not sent may not go out later: the memory is the caller's again.
    if (!isWritten) response.socket.destroy();
  }
}
