/** Programs that can compress, as the config names them. */
export const COMPRESSORS = ["gzip", "pigz", "bzip2", "lbzip2", "zstd", "xz", "lz4", "none"] as const;

export type Compressor = (typeof COMPRESSORS)[number];

export type CompressionOptions = {
  readonly program: Compressor;
  /** Threads for the programs that have them; `undefined` lets the modifier choose, at least 1. */
  readonly threads: number | undefined;
  /** Level in the program's own scale; `undefined` is the program's default here. */
  readonly level: number | undefined;
};

export type GpgOptions = {
  /** Fingerprint, key id, e-mail address or the path of a public key file. `undefined` when the config only decrypts. */
  readonly recipient: string | undefined;
  readonly keyring: string | undefined;
  readonly secretKeyring: string | undefined;
  /** GNUPGHOME to use; `undefined` means the user's own. */
  readonly homedir: string | undefined;
};
