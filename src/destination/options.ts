/** A directory on this host. */
export type LocalOptions = {
  readonly kind: "local";
  /** Absolute path of the root; created when missing. */
  readonly directory: string;
};

/** A directory on another host. */
export type SshOptions = {
  readonly kind: "ssh";
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Absolute path of the root on that host; created when missing. */
  readonly directory: string;
  /** Private key; tried after the agent's keys, when the file exists. */
  readonly keyFile: string;
  /** Where known host keys are; `undefined` means the user's and the system's files, as OpenSSH. */
  readonly knownHostsFile: string | undefined;
  /** `strict` refuses an unknown host; `accept-new` records its key on first sight. A changed key is always refused. */
  readonly hostKeys: "strict" | "accept-new";
};

/** Everything needed to open a destination. */
export type DestinationOptions = LocalOptions | SshOptions;
