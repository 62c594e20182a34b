// The demo's real data: 20,000 flights within the United States in the first quarter of 2001, as the npm package vega-datasets has them.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export interface Flight {
  /** `2001/01/14 09:30`; the airport's clock, taken as UTC. */
  readonly date: string;
  /** Minutes; negative is early. */
  readonly delay: number;
  /** Miles. */
  readonly distance: number;
  readonly origin: string;
  readonly destination: string;
}

/** In the order of departure. */
export function readFlights(): Flight[] {
  const entry = createRequire(import.meta.url).resolve("vega-datasets");
  return JSON.parse(readFileSync(join(dirname(entry), "..", "data", "flights-20k.json"), "utf8")) as Flight[];
}

export function departureMs({ date }: Flight): number {
  const [day, time] = date.split(" ");
  return Date.parse(`${day!.replaceAll("/", "-")}T${time}:00Z`);
}
