// The packages as a user meets them: installed in a folder of their own, type-checked by a strict program, run.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { assemble } from "./assemble.ts";
import { workspaces } from "./declarations.ts";
import { publishedPackages } from "./packages.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const program = `import { Consumer, KafkaError, Producer } from "@blumfeld/client";
import { startBroker } from "blumfeld";

const broker = await startBroker({ storage: "memory", port: 0 });
const producer = new Producer({ bootstrapServers: broker.bootstrap });
for (const value of ["one", "two"]) await producer.send({ topic: "orders", key: "k", value });
await producer.close();
const consumer = new Consumer({ bootstrapServers: broker.bootstrap, autoOffsetReset: "earliest" });
await consumer.assign([{ topic: "orders", partition: 0 }]);
const seen: string[] = [];
for await (const message of consumer) {
  seen.push(String(message.value));
  if (seen.length === 2) break;
}
await consumer.close();
await broker.close();
console.log(seen.join(","), new Error() instanceof KafkaError);
`;

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "blumfeld-package-"));
  for (const wanted of publishedPackages) {
    const directory = join(folder, "node_modules", wanted.name);
    await assemble(root, wanted, directory);
    const { dependencies } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
    for (const name of [...Object.keys(dependencies), "@types/node", "undici-types"]) link(name);
  }
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
}, 240_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** As npm would have installed it: a workspace may have another version than the root. */
function link(name: string): void {
  const path = join(folder, "node_modules", name);
  const places = [...workspaces.map((workspace) => join(root, workspace)), root].map((place) =>
    join(place, "node_modules", name),
  );
  mkdirSync(dirname(path), { recursive: true });
  try {
    symlinkSync(places.find((place) => existsSync(place))!, path);
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
  }
}

function typeCheck(name: string, text: string): { status: number | null; stdout: string } {
  writeFileSync(join(folder, name), text);
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  const options =
    "--noEmit --strict --target es2023 --lib es2023,esnext.disposable --module nodenext --types node".split(" ");
  return spawnSync(process.execPath, [compiler, ...options, name], { cwd: folder, encoding: "utf8" });
}

test("a strict program compiles against the declarations, all of which are checked too", { timeout: 120_000 }, () => {
  expect(typeCheck("program.ts", program)).toMatchObject({ stdout: "", status: 0 });
});

test("a wrong field does not compile", { timeout: 120_000 }, () => {
  const wrong = `import { Producer } from "@blumfeld/client";\nnew Producer({ bootstrapServer: "127.0.0.1:9092" });\n`;
  expect(typeCheck("wrong.ts", wrong).stdout).toContain("bootstrapServer");
});

test("the program runs", { timeout: 60_000 }, () => {
  writeFileSync(join(folder, "program.mjs"), program.replace("const seen: string[]", "const seen"));
  const { stdout, stderr } = spawnSync(process.execPath, ["program.mjs"], { cwd: folder, encoding: "utf8" });
  expect({ stdout, stderr }).toEqual({ stdout: "one,two false\n", stderr: "" });
});

test("the command runs", { timeout: 60_000 }, () => {
  const blum = join(folder, "node_modules", "blumfeld", "bin", "blum.mjs");
  const { stdout } = spawnSync(process.execPath, [blum, "--version"], { cwd: folder, encoding: "utf8" });
  expect(stdout).toContain("0.1.0");
});
