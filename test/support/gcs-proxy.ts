import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

/** A request as it came. */
export type Seen = {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly bytes: number;
};

/** What to do with a request instead of passing it on. */
export type Fault =
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly text?: string;
      readonly headers?: Record<string, string>;
    }
  /** Reset the connection once that many bytes of the body have come. The server keeps what Google would keep of them. */
  | { readonly kind: "cut"; readonly afterBytes: number }
  | { readonly kind: "stall" }
  /** Pass it on, and reset the connection instead of answering. */
  | { readonly kind: "lose" }
  /** Pass it on with a flipped bit in the middle of its body. */
  | { readonly kind: "flip" }
  /** Pass it on without some of its headers. */
  | { readonly kind: "strip"; readonly header: string }
  /** Reset the connection after that many bytes of the answer. */
  | { readonly kind: "cut answer"; readonly afterBytes: number };

/**
 * A proxy in front of an emulator of Google Cloud Storage that notes requests and breaks some. It answers by itself how far an upload is: the
 * emulator takes the question for the end of the upload.
 */
export type GcsProxy = {
  readonly endpoint: string;
  readonly seen: Seen[];
  /** Looks at each request before it is passed on. */
  fault: (request: Seen) => Fault | undefined;
  stop(): Promise<void>;
};

type Session = { stored: number; finished?: { status: number; text: string } };

const QUANTUM = 256 * 1024;

/** Start a proxy. */
export async function startGcsProxy(target: string): Promise<GcsProxy> {
  const sessions = new Map<string, Session>();
  const server = createServer((request, response) => {
    handle({ proxy, sessions, target }, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const proxy: GcsProxy = {
    endpoint: `http://127.0.0.1:${port}`,
    seen: [],
    fault: () => undefined,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

type World = { readonly proxy: GcsProxy; readonly sessions: Map<string, Session>; readonly target: string };

async function handle(world: World, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = "", url: path = "", headers } = request;
  const seen = { method, path, headers, bytes: lengthOf(headers) };
  world.proxy.seen.push(seen);
  const fault = world.proxy.fault(seen);
  const body = await received(request, fault?.kind === "cut" ? fault.afterBytes : Number.POSITIVE_INFINITY);
  if (fault !== undefined && (await isBroken({ world, seen, body, response }, fault))) return;
  const answer = await answerTo(world, seen, body);
  response.writeHead(answer.status, withLength(answer)).end(answer.body);
}

function lengthOf(headers: Seen["headers"]): number {
  return Number(headers["content-length"] ?? 0);
}

function withLength({ headers, body }: Answer): Record<string, string> {
  return { ...headers, "content-length": String(body.length) };
}

type Exchange = {
  readonly world: World;
  readonly seen: Seen;
  readonly body: Buffer;
  readonly response: ServerResponse;
};

/** Do what the fault says. @returns whether there is nothing left to answer. */
async function isBroken({ world, seen, body, response }: Exchange, fault: Fault): Promise<boolean> {
  switch (fault.kind) {
    case "flip":
      flip(body);
      return false;
    case "strip":
      Reflect.deleteProperty(seen.headers, fault.header);
      return false;
    case "stall":
      return true;
    case "answer":
      response.writeHead(fault.status, { "content-type": "application/json", ...fault.headers }).end(fault.text);
      return true;
    case "cut":
      await keepWhole(world, seen, body);
      response.req.socket.resetAndDestroy();
      return true;
    case "lose":
      await answerTo(world, seen, body);
      response.req.socket.resetAndDestroy();
      return true;
    case "cut answer":
      break;
  }
  const answer = await answerTo(world, seen, body);
  response.writeHead(answer.status, withLength(answer));
  response.write(answer.body.subarray(0, fault.afterBytes), () => response.req.socket.destroy());
  return true;
}

function flip(body: Buffer): void {
  const middle = body.length >> 1;
  body[middle] = (body[middle] ?? 0) ^ 1;
}

async function answerTo(world: World, seen: Seen, body: Buffer): Promise<Answer> {
  return question(world, seen) ?? (await pass(world, seen, body));
}

/** The body, or no more than its first bytes. */
async function received(request: IncomingMessage, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  if (most === 0) return Buffer.alloc(0);
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    // Leaving the loop would destroy the request.
    if (bytes >= most) return Buffer.concat(chunks).subarray(0, most);
  }
  return Buffer.concat(chunks);
}

function sessionId(path: string): string | null {
  return new URL(path, "http://x").searchParams.get("upload_id");
}

/** The answer to the question how far an upload is. */
function question({ sessions }: World, { method, path, headers }: Seen): Answer | undefined {
  const session = sessions.get(sessionId(path) ?? "");
  const [, total] = /^bytes \*\/(\*|\d+)$/.exec(String(headers["content-range"] ?? "")) ?? [];
  if (method !== "PUT" || session === undefined || total === undefined) return undefined;
  if (session.finished) return { ...session.finished, headers: {}, body: Buffer.from(session.finished.text) };
  return { status: 308, headers: rangeOf(session), body: Buffer.alloc(0) };
}

function rangeOf({ stored }: Session): Record<string, string> {
  return stored === 0 ? {} : { range: `bytes=0-${stored - 1}` };
}

/** Google keeps the whole chunks of 256 KiB of what came. */
async function keepWhole(world: World, seen: Seen, body: Buffer): Promise<void> {
  const [, first] = /^bytes (\d+)-/.exec(String(seen.headers["content-range"] ?? "")) ?? [];
  const whole = body.subarray(0, body.length - (body.length % QUANTUM));
  if (first === undefined || whole.length === 0) return;
  const range = `bytes ${first}-${Number(first) + whole.length - 1}/*`;
  await pass(world, { ...seen, headers: { ...seen.headers, "content-range": range } }, whole);
}

type Answer = { readonly status: number; readonly headers: Record<string, string>; readonly body: Buffer };

const HOP_BY_HOP = ["host", "connection", "content-length", "transfer-encoding", "keep-alive"];

/** Let the server answer, and note how far it is with an upload. */
async function pass({ proxy, sessions, target }: World, seen: Seen, body: Buffer): Promise<Answer> {
  const { method } = seen;
  const headers = kept(Object.entries(seen.headers));
  const hasBody = method !== "GET" && method !== "DELETE";
  const came = await fetch(target + seen.path, { method, headers, redirect: "manual", ...(hasBody && { body }) });
  const answer = { status: came.status, headers: kept([...came.headers]), body: Buffer.from(await came.arrayBuffer()) };
  const session = sessions.get(sessionId(seen.path) ?? "");
  if (session !== undefined) note(session, answer);
  const location = answer.headers["location"];
  if (location !== undefined) {
    sessions.set(sessionId(location) ?? "", { stored: 0 });
    answer.headers["location"] = location.replace(target, proxy.endpoint);
  }
  return answer;
}

function note(session: Session, { status, headers, body }: Answer): void {
  if (status === 308) session.stored = Number(/-(\d+)$/.exec(headers["range"] ?? "")?.[1]) + 1;
  if (status === 200) session.finished = { status, text: body.toString() };
}

function kept(headers: readonly (readonly [string, unknown])[]): Record<string, string> {
  return Object.fromEntries(
    headers.flatMap(([name, value]) =>
      typeof value === "string" && !HOP_BY_HOP.includes(name) ? [[name, value] as const] : [],
    ),
  );
}
