// A data directory of Apache Kafka's in a temporary folder, and the settings to open it with.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sharedPath } from "../shared.ts";
import { unpack } from "./untar.ts";

export const archives = ["data-clean", "data-killed"] as const;

export interface Archive {
  readonly dataDirectory: string;
  readonly properties: Readonly<Record<string, string>>;
  remove(): void;
}

/** Settings of the recorded node that name its ports, or need SASL. */
const ownSettings =
  /^(listeners|advertised\.listeners|listener\.|sasl\.|authorizer\.|super\.users|controller\.quorum\.bootstrap|log\.dirs)/;

/** A fresh copy. Its settings are those of the recorded node but for the listeners: a plain one, and the controller's. */
export function openArchive(name: string): Archive {
  const folder = mkdtempSync(join(tmpdir(), "blumfeld-data-dir-"));
  unpack(sharedPath(`protocol/data-dirs/${name}.tar.gz`), folder);
  const properties: Record<string, string> = {};
  for (const line of readFileSync(sharedPath(`protocol/data-dirs/${name}.properties`), "utf8").split("\n")) {
    const equals = line.indexOf("=");
    if (equals > 0 && !ownSettings.test(line)) properties[line.slice(0, equals)] = line.slice(equals + 1);
  }
  return {
    dataDirectory: join(folder, "data"),
    properties,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
