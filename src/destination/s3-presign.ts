import { formatUrl, hostOf, type WireRequest } from "./s3-http.ts";

/** The longest time that S3 honours a URL for. */
export const MOST_SHARED_SECONDS = 7 * 24 * 3600;

type Presigner = {
  presign(
    request: WireRequest,
    options: { readonly expiresIn: number; readonly signingDate: Date },
  ): Promise<WireRequest>;
};

/** The part of the SDK's middleware stack that is needed here. */
export type Stack = {
  add(middleware: never, options: { readonly step: "build"; readonly name: string; readonly priority: "low" }): void;
};

type Step = { readonly request: unknown };

/** Keep the request of a command instead of sending it. @returns a function that tells it, once the command was "sent". */
export function intercepted(stack: Stack): () => WireRequest {
  let kept: WireRequest | undefined;
  const middleware = () => async (step: Step) => {
    kept = step.request as WireRequest;
    return { response: {}, output: { $metadata: {} } };
  };
  stack.add(middleware as never, { step: "build", name: "intercepted", priority: "low" });
  return () => {
    if (kept === undefined) throw new Error("the request was not made");
    return kept;
  };
}

/** The URL of a request, signed so that whoever has it can make it until it expires. */
export async function presigned(
  signer: unknown,
  request: WireRequest,
  { expiresSeconds, now }: { readonly expiresSeconds: number; readonly now: Date },
): Promise<string> {
  // Headers are no part of a link; the second one ends up in its query.
  const headers = { host: request.headers["host"] ?? hostOf(request), "x-amz-content-sha256": "UNSIGNED-PAYLOAD" };
  const bare = { ...request, headers };
  const signed = await (signer as Presigner).presign(bare, { expiresIn: expiresSeconds, signingDate: now });
  return formatUrl(signed);
}
