/** The options of `clone mysql`: flags, what they mean, and what they are when they are not given. */
export const CLONE_OPTIONS: readonly (readonly [flags: string, meaning: string, value?: string])[] = [
  ["--replication-user <user>", "whom the replica logs in as", "repl"],
  ["--replication-password-file <path>", "file with the password; or set TWINDB_REPLICATION_PASSWORD"],
  ["--replication-password <password>", "the password; every user of this host can see it here"],
  ["--replication-host <host>", "the source, as the destination knows it (default: SOURCE)"],
  ["--compress", "have SSH compress the stream"],
  ["--ssh-user <user>", "whom to log in as on both hosts (default: ssh_user of [ssh])"],
  ["--ssh-key <path>", "the private key for it (default: ssh_key of [ssh])"],
  ["--ssh-port <port>", "where their sshd listens (default: port of [ssh])"],
  ["--start-command <command>", "starts the destination's server (default: its systemd unit)"],
  ["--stop-command <command>", "stops it, should the clone fail later on"],
  ["--tls-ca <path>", "authority that vouches for the source; a path on the destination, like the next two"],
  ["--tls-cert <path>", "certificate of the replica"],
  ["--tls-key <path>", "its key"],
  ["--tls-verify", "also require that the certificate of the source is for its name"],
  ["--timeout <time>", "how long the server may take to start, and then to catch up", "10m"],
  ["--netcat-port <port>", "has no effect: nothing travels outside of SSH any more"],
];
