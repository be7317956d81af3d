/** One row: every value as the text the server sends, so that no number loses digits; NULL is `undefined`. */
export type Row = Readonly<Record<string, string | undefined>>;

/** A value in place of a `?`. */
export type SqlValue = string | number;

/** One session with a server. */
export interface Client extends AsyncDisposable {
  /** For people: user, host or socket. Holds no secret. */
  readonly target: string;

  /**
   * Run one statement. @returns its rows, none for a statement without a result.
   * @throws {BackupError} UNREACHABLE when the session is lost, NOT_PERMITTED when a privilege is missing, else FAILED with the server's
   * own words.
   */
  rows(sql: string, values?: readonly SqlValue[]): Promise<readonly Row[]>;

  /** The first value of the first row. */
  value(sql: string, values?: readonly SqlValue[]): Promise<string | undefined>;
}
