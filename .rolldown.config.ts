/**
 * Puts the program and its libraries into few files: a start reads three instead of a hundred. What only some commands need stays
 * apart and is loaded by them. Names stay as they are, so that a stack says where it was.
 */
import { defineConfig } from "rolldown";

const taken = (names: string, module: string) => `const ${names} = process.getBuiltinModule("${module}");`;
const spawner = (name: string) =>
  `const ${name} = { spawn: (...all) => process.getBuiltinModule("node:child_process").spawn(...all) };`;

/**
 * Takes what is needed out of a module of Node.js, where an import would read all it exports: of "node:crypto" that loads twenty modules more,
 * of "node:process" the streams of the terminal. To start other programs is what a library may do and we never ask it to.
 */
const plainBuiltins = {
  name: "plain-builtins",
  renderChunk: (code: string) =>
    code
      .replaceAll(/^import ([\w$]+), (\{.*\}) from ("node:[^"]+");$/gm, "import $1 from $3; import $2 from $3;")
      .replaceAll(/^import ([\w$]+) from "node:child_process";$/gm, (_, name: string) => spawner(name))
      .replaceAll(/\bimport ([\w$]+|\{[^{}]*\}) from "(node:[^"]+)";/g, (_, names: string, module: string) =>
        taken(names.replaceAll(" as ", ": "), module),
      ),
};

const COMMON = RegExp(
  [
    "/src/cli/(context|copy-row|duration|exit-status|explain|find-copies|interruption|paused|table|windows)",
    "/src/destination/(abortable|attempts|destination|lock-record|open|pause|read-only|retrying)",
    "/src/job/(list|pause)",
    "/src/lib/(bytes|directories|process-identity|replace-file|system-error|unbatched)",
  ]
    .map((module) => `${module}\\.ts$`)
    .join("|"),
);

export default defineConfig([
  {
    input: { main: "src/main.ts", "reader-thread": "src/lib/reader-thread.ts" },
    platform: "node",
    plugins: [plainBuiltins],
    // Loaded by few commands, and they look for files of their own beside them.
    external: ["ssh2", "mysql2"],
    // The bundle names files as they lie below the project, wherever that is: the same commit gives the same bytes.
    resolve: { symlinks: false },
    output: {
      dir: "dist",
      entryFileNames: ({ name }) => (name === "main" ? "main.js" : `parts/${name}.js`),
      chunkFileNames: "parts/[name].js",
      cleanDir: true,
      comments: false,
      codeSplitting: {
        // What nearly every command needs is two files: reading many costs more than reading what is not needed.
        groups: [
          { name: "shared", test: /\/src\/(domain|config|status)\//, minShareCount: 4 },
          { name: "common", test: COMMON, minShareCount: 2 },
        ],
      },
    },
  },
  {
    // On its own: what it shares with the program would otherwise be cut out of that.
    input: { "destination-contract": "src/destination/contract/public.ts" },
    platform: "node",
    output: { dir: "dist", entryFileNames: "[name].js", codeSplitting: false, comments: false },
  },
]);
