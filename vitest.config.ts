import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{core,host,broker,client,apps,testing,tools}/**/*.{test,golden,sim}.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", "**/.work/**"],
    testTimeout: 20_000,
    pool: "forks",
  },
});
