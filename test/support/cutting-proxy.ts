import { connect, createServer, type Socket } from "node:net";

/** A TCP proxy on loopback that breaks connections on demand. */
export type CuttingProxy = {
  readonly port: number;
  /** Reset each new connection once it has carried that many bytes towards the server; `undefined` never. */
  cutAfter: number | undefined;
  /** Carry nothing more, either way, once a connection has carried that many bytes towards the server. */
  stallAfter: number | undefined;
  /** Break the connections that are open now. */
  cut(): void;
  stop(): Promise<void>;
};

/** Start a proxy in front of a port of loopback. */
export async function startCuttingProxy(target: number): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => socket.destroy());
    }
    forward(proxy, client, upstream);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy: CuttingProxy = {
    port: (server.address() as { port: number }).port,
    cutAfter: undefined,
    stallAfter: undefined,
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

function forward({ cutAfter, stallAfter }: CuttingProxy, client: Socket, upstream: Socket): void {
  let carried = 0;
  let stalled = false;
  client.on("data", (chunk) => {
    if (stalled || upstream.writableEnded) return;
    const limit = cutAfter ?? stallAfter ?? Number.POSITIVE_INFINITY;
    const passed = chunk.subarray(0, limit - carried);
    carried += passed.length;
    if (!upstream.write(passed)) {
      client.pause();
      upstream.once("drain", () => client.resume());
    }
    if (carried < limit) return;
    if (cutAfter === undefined) stalled = true;
    else upstream.end(() => client.resetAndDestroy());
  });
  upstream.on("data", (chunk) => {
    if (!stalled) client.write(chunk);
  });
  client.on("close", () => upstream.destroy());
  upstream.on("close", () => {
    if (!stalled) client.destroy();
  });
}
