/** A program and its arguments, as data. No shell is involved. */
export type Command = {
  /** Name looked up in PATH, or an absolute path. */
  readonly file: string;
  readonly args: readonly string[];
  /** Added to the small environment that programs get. */
  readonly env?: Readonly<Record<string, string>>;
  /** Exit statuses besides 0 that mean success with a warning, such as 1 for tar. */
  readonly warningStatuses?: readonly number[];
  /** A side door such as `tee`: its own failure is a warning, as long as it passed all bytes on. */
  readonly tap?: boolean;
};
