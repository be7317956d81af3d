/** Where the running program tells what happens. Texts are for people; nothing reads them back. */
export interface Log {
  debug(text: string): void;
  info(text: string): void;
  /** Something a person should look at although the run goes on. */
  warn(text: string): void;
}
