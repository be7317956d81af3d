import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What can go wrong with one request. */
export type HttpFault =
  /** It is not passed on, but answered. */
  | { readonly kind: "answer"; readonly status: number; readonly body?: string; readonly headers?: HttpHeaders }
  /** The connection is reset when so many bytes of the body have come. */
  | { readonly kind: "cut"; readonly afterBytes: number }
  /** The connection is reset when so many bytes of the answer's body have gone. */
  | { readonly kind: "cut answer"; readonly afterBytes: number }
  /** Nothing is read of it, nothing answered. */
  | { readonly kind: "stall" }
  /** The server does it, the answer never comes. */
  | { readonly kind: "lose answer" }
  /** One bit of the body changes. */
  | { readonly kind: "flip" }
  /** It is passed on without some headers. */
  | { readonly kind: "strip"; readonly headers: readonly string[] };

type HttpHeaders = Readonly<Record<string, string>>;

/** One request as the proxy sees it. `action` is S3's name for it; `nth` counts those of the same action from 1. */
type SeenRequest = {
  readonly action: string;
  readonly nth: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
};

/** An HTTP proxy on loopback that breaks the requests it is told to. */
export type FaultyProxy = {
  readonly endpoint: string;
  /** Decides on each request; `undefined` passes it on. */
  meet: (request: SeenRequest) => HttpFault | undefined;
  /** What was asked since the last `reset()`, in order. */
  readonly seen: readonly SeenRequest[];
  /** Forget what was seen, break nothing. */
  reset(): void;
  stop(): Promise<void>;
};

/** Start a proxy in front of a server without TLS. */
export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  const upstream = new URL(target);
  const seen: SeenRequest[] = [];
  const server = createServer((incoming, outgoing) => {
    const action = actionOf(incoming);
    const nth = seen.filter((one) => one.action === action).length + 1;
    const request = { action, nth, headers: incoming.headers };
    seen.push(request);
    suffer({ incoming, outgoing, upstream }, proxy.meet(request));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy: FaultyProxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    meet: () => undefined,
    seen,
    reset: () => {
      seen.length = 0;
      proxy.meet = () => undefined;
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

/** Break every request of an action, or only its first ones. */
export function breaking(action: string, fault: HttpFault, times = Number.POSITIVE_INFINITY): FaultyProxy["meet"] {
  return (request) => (request.action === action && request.nth <= times ? fault : undefined);
}

/** An answer with one of the errors of S3. */
export function s3Answer(status: number, code: string, headers: HttpHeaders = {}): HttpFault {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>made up</Message></Error>`;
  return { kind: "answer", status, body, headers: { "content-type": "application/xml", ...headers } };
}

function actionOf({ method = "", url = "" }: IncomingMessage): string {
  const { pathname, searchParams: query } = new URL(url, "http://x");
  const isBucket = pathname.split("/").filter(Boolean).length < 2;
  if (query.has("uploads")) return method === "POST" ? "CreateMultipartUpload" : "ListMultipartUploads";
  if (query.has("uploadId")) {
    return (
      { PUT: "UploadPart", POST: "CompleteMultipartUpload", DELETE: "AbortMultipartUpload" }[method] ?? "ListParts"
    );
  }
  if (isBucket) return method === "GET" ? "ListObjectsV2" : `${method} bucket`;
  return { PUT: "PutObject", GET: "GetObject", HEAD: "HeadObject", DELETE: "DeleteObject" }[method] ?? method;
}

type Exchange = { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse; readonly upstream: URL };

function suffer(exchange: Exchange, fault: HttpFault | undefined): void {
  const { incoming, outgoing } = exchange;
  if (fault?.kind === "stall") return;
  if (fault?.kind === "answer") {
    incoming.resume();
    incoming.once("end", () => outgoing.writeHead(fault.status, fault.headers).end(fault.body));
    return;
  }
  if (fault?.kind === "cut") {
    let bytes = 0;
    incoming.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes >= fault.afterBytes) incoming.socket.resetAndDestroy();
    });
    return;
  }
  forward(exchange, fault);
}

function forward({ incoming, outgoing, upstream }: Exchange, fault: HttpFault | undefined): void {
  const stripped = fault?.kind === "strip" ? fault.headers : [];
  const headers = Object.fromEntries(Object.entries(incoming.headers).filter(([name]) => !stripped.includes(name)));
  const passed = request(
    {
      host: upstream.hostname,
      port: upstream.port,
      method: incoming.method,
      path: incoming.url,
      headers,
      agent: false,
    },
    (answer) => answered(answer, outgoing, fault),
  );
  passed.on("error", () => outgoing.destroy());
  outgoing.on("close", () => passed.destroy());
  let isFlipped = fault?.kind !== "flip";
  incoming.on("data", (chunk: Buffer) => {
    if (!isFlipped) chunk[0] = (chunk[0] ?? 0) ^ 1;
    isFlipped = true;
    if (!passed.write(chunk)) {
      incoming.pause();
      passed.once("drain", () => incoming.resume());
    }
  });
  incoming.on("end", () => passed.end());
}

function answered(answer: IncomingMessage, outgoing: ServerResponse, fault: HttpFault | undefined): void {
  if (fault?.kind === "lose answer") {
    answer.resume();
    answer.once("end", () => outgoing.socket?.destroy());
    return;
  }
  outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
  if (fault?.kind !== "cut answer") {
    answer.pipe(outgoing);
    return;
  }
  let left = fault.afterBytes;
  outgoing.flushHeaders();
  answer.on("data", (chunk: Buffer) => {
    const piece = chunk.subarray(0, left);
    left -= piece.length;
    outgoing.write(piece, () => left === 0 && outgoing.socket?.destroy());
  });
}
