/**
 * Puts the program and its libraries into few files: a start reads three instead of a hundred. What only some commands need stays
 * apart and is loaded by them. Names stay as they are, so that a stack says where it was.
 */
import { defineConfig } from "rolldown";

export default defineConfig([
  {
    input: { main: "src/main.ts", "reader-thread": "src/lib/reader-thread.ts" },
    platform: "node",
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
    },
  },
  {
    // On its own: what it shares with the program would otherwise be cut out of that.
    input: { "destination-contract": "src/destination/contract/public.ts" },
    platform: "node",
    output: { dir: "dist", entryFileNames: "[name].js", codeSplitting: false, comments: false },
  },
]);
