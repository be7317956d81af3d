import { END_NOTED } from "./noted.ts";

/**
 * What is run on the host of a replica: scripts of one line for a POSIX shell, as root. All that a clone makes there is noted in a state
 * directory before it is made, so that `UNDO` can remove it, also after a run of ours was killed.
 */

/** Where the state directories are. */
export const STATE_PARENT = "/var/lib/twindb-backup";

/** Below the data directory, on its file system: where the stream is unpacked. */
export const STAGING = ".twindb-clone";

/** Prints the pids of servers that work in `$D`: each changes into its data directory when it starts, and stays there. */
const SERVERS =
  'servers() { D=$(cd -- "$1" 2>/dev/null && pwd -P) || return 0; for p in /proc/[0-9]*; do [ "$(readlink "$p/cwd" 2>/dev/null)" = "$D" ] || continue; case $(readlink "$p/exe" 2>/dev/null) in *mysqld*|*mariadbd*) echo "${p#/proc/}";; *) if ls -l "$p/fd" 2>/dev/null | grep -q "/ibdata1"; then echo "${p#/proc/}"; fi;; esac; done; }; ';

/**
 * Look around. `$1` data directory, `$2` state directory, `$3` port, then the base names of logs that lie elsewhere. Prints `key=value` lines.
 */
export const LOOK = [
  `${SERVERS}d=$1`,
  'if [ -e "$2/owner" ]; then echo "owner=$(cat "$2/owner")"; fi',
  'for p in $(servers "$d"); do echo "pid=$p"; done',
  'if cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -qi ":$(printf %04X "$3") [0-9A-F]*:0000 0A"; then echo "listening=$3"; fi',
  'if [ -e "$d" ] && [ ! -d "$d" ]; then echo "entry=(it is not a directory)"; fi',
  `ls -A -- "$d" 2>/dev/null | grep -v -x -e lost+found -e '${STAGING}' | head -n 3 | sed "s/^/entry=/"`,
  'while [ ! -d "$d" ]; do d=$(dirname "$d"); done',
  'stat -f -c "free=%a %S" -- "$d"',
  "if id -u mysql >/dev/null 2>&1; then echo user=mysql; fi",
  'for u in mariadb mysqld mysql; do if systemctl cat "$u.service" >/dev/null 2>&1; then echo "unit=$u"; fi; done',
  'echo "memory=$(sed -n "s/^MemAvailable: *\\([0-9]*\\) kB/\\1/p" /proc/meminfo)"',
  "shift 3",
  'for b in "$@"; do if [ -d "$(dirname "$b")" ]; then for f in "$b".*; do if [ -e "$f" ]; then echo "log=$f"; break; fi; done; else echo "nodir=$(dirname "$b")"; fi; done; :',
].join("; ");

/** Note that a clone begins. `$1` state directory, `$2` data directory, `$3` who, then the base names of logs that lie elsewhere. */
export const BEGIN = [
  `umask 022; mkdir -p ${STATE_PARENT} || exit 1; umask 077; n="$1.$$"; mkdir -- "$n" && printf %s "$3" >"$n/owner" || exit 1`,
  'if [ -d "$2" ]; then stat -c "%u:%g %a" -- "$2" >"$n/datadir"; else echo new >"$n/datadir"; fi || exit 1',
  // Whole or not at all, and only where no other clone was faster.
  'mv -T -- "$n" "$1" || { rm -rf -- "$n"; exit 1; }',
  's=$1; d=$2; shift 3; for b in "$@"; do printf "%s\\n" "$b" >>"$s/logs" || exit 1; done',
  // From here on what lies in the data directory is ours.
  `if [ -n "$(ls -A -- "$d" 2>/dev/null | grep -v -x -e lost+found -e '${STAGING}')" ]; then echo "$d is not empty" >&2; exit 1; fi`,
  ': >"$s/list" && : >"$s/begun" || exit 1',
  // What was noted has to be there after a crash that left what is made next.
  'sync "$s"/* "$s"; mkdir -p -m 750 -- "$d" || exit 1',
  `rm -rf -- "$d/${STAGING}" && mkdir -m 700 -- "$d/${STAGING}"`,
].join("; ");

/** Remove all that a clone made. `$1` state directory, `$2` data directory, `$3` whose clone, `$4` command that stops the server, or nothing. */
export const UNDO = [
  `${SERVERS}cd /; [ "$(cat "$1/owner" 2>/dev/null)" = "$3" ] || exit 0`,
  `d=$1; ${END_NOTED}`,
  'if [ -e "$1/started" ]; then if [ -n "$4" ]; then /bin/sh -c "$4" </dev/null >/dev/null 2>&1; fi; fi',
  'if [ -e "$1/begun" ]; then n=0; for p in $(servers "$2"); do kill "$p" 2>/dev/null; done; while [ -n "$(servers "$2")" ] && [ $n -lt 300 ]; do n=$((n + 1)); sleep 0.2; done; for p in $(servers "$2"); do kill -s KILL "$p" 2>/dev/null; sleep 1; done; fi',
  'if [ -e "$1/list" ]; then while read -r k n f; do [ "$k" = f ] || continue; rm -f -- "$f" "$f.twindb-new"; if [ -e "$1/config-$n" ] || [ -L "$1/config-$n" ]; then cp -a -- "$1/config-$n" "$f" || exit 1; fi; done <"$1/list"',
  'while read -r k n f; do if [ "$k" = d ]; then rmdir -- "$f" 2>/dev/null; fi; done <"$1/list"; fi',
  'if [ -e "$1/begun" ]; then if [ -d "$2" ]; then find "$2/" -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf -- {} + || exit 1; fi',
  'read -r o m <"$1/datadir"; if [ "$o" = new ]; then if [ -d "$2" ]; then rmdir -- "$2" || exit 1; fi; else chown "$o" -- "$2" && chmod "$m" -- "$2"; fi',
  'if [ -e "$1/logs" ]; then while read -r b; do rm -f -- "$b".[0-9]* "$b".index "$b".state; done <"$1/logs"; fi; fi',
  `rm -rf -- "$1" || exit 1; rmdir ${STATE_PARENT} 2>/dev/null; :`,
].join("; ");

/** The clone is done: forget what was noted. `$1` state directory. */
export const FORGET = `rm -rf -- "$1"; rmdir ${STATE_PARENT} 2>/dev/null; :`;

/** Put what was unpacked and prepared in place. `$1` data directory; then names that a server must not find there. */
export const PLACE = [
  `s="$1/${STAGING}"; d=$1; shift; cd -- "$s" || exit 1`,
  'for f in "$@"; do rm -rf -- "./$f" || exit 1; done',
  'find . -mindepth 1 -maxdepth 1 -exec mv -n -t "$d" -- {} + || exit 1',
  'cd / && rmdir -- "$s"',
].join("; ");

/** Give the data to the server's user. `$1` data directory, `$2` state directory. */
export const GIVE = [
  'read -r o m <"$2/datadir"; case $o in new|0:*) o=mysql:mysql; m=750;; esac',
  'chmod -R u=rwX,g=rX,o= -- "$1" && chown -R --no-dereference "$o" -- "$1" && chmod "$m" -- "$1" || exit 1',
  'if command -v restorecon >/dev/null 2>&1; then restorecon -R -- "$1" >/dev/null 2>&1; fi; :',
].join("; ");

/** Put a config file in place of what is there. `$1` state directory, `$2` number, `$3` path, `$4` mode, `$5` owner and group. */
export const PUT_CONFIG = [
  'n="$1/new-$2"; umask 022; m=$(dirname "$3"); while [ ! -d "$m" ]; do printf "d 0 %s\\n" "$m" >>"$1/list"; m=$(dirname "$m"); done; mkdir -p -- "$(dirname "$3")" || exit 1',
  'if [ -e "$3" ] || [ -L "$3" ]; then if cmp -s -- "$n" "$3"; then rm -f -- "$n"; exit 0; fi; cp -a -- "$3" "$1/config-$2" || exit 1; fi',
  'printf "f %s %s\\n" "$2" "$3" >>"$1/list" && sync "$1" || exit 1',
  'chmod "$4" -- "$n" || exit 1; chown "$5" -- "$n" 2>/dev/null',
  'cp -a -- "$n" "$3.twindb-new" && mv -f -T -- "$3.twindb-new" "$3" && rm -f -- "$n"',
].join("; ");

/** Run the command that starts the server. `$1` state directory, `$2` the command. What it starts may keep running, and open what it will. */
export const START =
  ': >"$1/started" || exit 1; cd /; umask 022; /bin/sh -c "$2" </dev/null >"$1/start.log" 2>&1 || { r=$?; tail -n 5 "$1/start.log" >&2; exit $r; }';
