/**
 * Notes a program, so that it can be ended, and runs it. `$1` is the file. The shell stays: of a program that a signal ended ssh
 * would say the same as of a lost connection.
 */
export const NOTED = 'cut -d" " -f1,5,22 "/proc/$$/stat" >"$1" || exit 1; shift; "$@"; exit $?';

/** Ends the programs that are noted in `$d`, with all they started; not one that got the number of one which is gone. */
export const END_NOTED =
  'for p in "$d"/pid-*; do [ -e "$p" ] || continue; read -r i g t <"$p"; if [ "$(cut -d" " -f22 "/proc/$i/stat" 2>/dev/null)" = "$t" ]; then kill -s TERM -- "-$g"; sleep 1; kill -s KILL -- "-$g" 2>/dev/null; fi; done';
