import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { compression } from "vite-plugin-compression2";

export default defineConfig({
  // Beside each file one that is compressed, for the gateway to serve. The page itself is completed for each request.
  plugins: [react(), compression({ algorithms: ["gzip", "brotliCompress"], exclude: /\.html$/, threshold: 1024 })],
  build: {
    target: "es2022",
    // The folder is always there, for the gateway's build; `npm run build` empties it but for what says so.
    emptyOutDir: false,
    // One file of some 165 KiB, compressed, is smaller than its parts.
    chunkSizeWarningLimit: 700,
    // The policy of the page allows no script or style that is not a file.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
