import type { S3Options } from "./options.ts";
import type { Wire, WireOptions } from "./s3-http.ts";

/** What tests change. */
export type S3Tuning = WireOptions & {
  /** How far the clock here is taken to be off. */
  readonly clockOffsetMilliseconds?: number | undefined;
};

/** How the SDK's client is set up. Trying again is not its business. */
export function clientConfig(options: S3Options, wire: Wire, { clockOffsetMilliseconds }: S3Tuning) {
  const { region, endpoint, forcePathStyle, profile, credentials, checksums } = options;
  return {
    region,
    forcePathStyle,
    ...(endpoint !== undefined && { endpoint }),
    ...(profile !== undefined && { profile }),
    ...(credentials !== undefined && {
      credentials: {
        accessKeyId: credentials.accessKeyId.reveal(),
        secretAccessKey: credentials.secretAccessKey.reveal(),
      },
    }),
    ...(clockOffsetMilliseconds !== undefined && { systemClockOffset: clockOffsetMilliseconds }),
    maxAttempts: 1,
    requestHandler: wire,
    requestChecksumCalculation: checksums === "when_supported" ? "WHEN_SUPPORTED" : "WHEN_REQUIRED",
    // We compare the SHA-256 of whole copies ourselves.
    responseChecksumValidation: "WHEN_REQUIRED",
    // It would cost each part a round trip.
    expectContinueHeader: false,
  } as const;
}

type Step = { readonly request: unknown };
type Next = (step: Step) => Promise<unknown>;

/** The part of the SDK's middleware stack that is needed here. */
type Stack = { add(middleware: never, options: { readonly step: "build"; readonly name: string }): void };

const WITH_BODY = new Set(["PutObjectCommand", "UploadPartCommand"]);

/** TLS guards bodies on their way already; to hash them once more costs 2.5 s for each GB. */
export function signPayloadsOnlyWithoutTls(stack: Stack): void {
  const middleware =
    (next: Next, { commandName = "" }: { readonly commandName?: string }) =>
    (step: Step) => {
      const request = step.request as { readonly protocol: string; readonly headers: Record<string, string> };
      if (request.protocol === "https:" && WITH_BODY.has(commandName)) {
        request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD";
      }
      return next(step);
    };
  stack.add(middleware as never, { step: "build", name: "signPayloadsOnlyWithoutTls" });
}
