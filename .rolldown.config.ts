/**
 * Puts the program and its libraries into few files: a start reads three instead of a hundred. What only some commands need stays
 * apart and is loaded by them. Names stay as they are, so that a stack says where it was.
 */
import { defineConfig } from "rolldown";

export default defineConfig({
  input: { main: "src/main.ts", "reader-thread": "src/lib/reader-thread.ts" },
  platform: "node",
  // Optional parts of ssh2, which it does without.
  external: ["cpu-features", /\.node$/],
  output: {
    dir: "dist",
    entryFileNames: ({ name }) => (name === "main" ? "main.js" : `parts/${name}.js`),
    chunkFileNames: "parts/[name].js",
    cleanDir: true,
    minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
  },
});
