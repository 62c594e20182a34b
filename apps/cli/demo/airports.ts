// What the flights tell, counted from the records as they are read.
import type { Flight } from "./flights.ts";

export interface Airport {
  readonly code: string;
  flights: number;
  delayMinutes: number;
  late: number;
}

/** Fifteen minutes is what the airlines' own statistics call late. */
const lateMinutes = 15;
const worstMax = 5;

export class AirportTally {
  readonly #airports = new Map<string, Airport>();
  readonly worst: Flight[] = [];

  add(flight: Flight): void {
    const { origin, delay } = flight;
    let airport = this.#airports.get(origin);
    if (airport === undefined) {
      airport = { code: origin, flights: 0, delayMinutes: 0, late: 0 };
      this.#airports.set(origin, airport);
    }
    airport.flights++;
    airport.delayMinutes += delay;
    if (delay >= lateMinutes) airport.late++;
    const isWorst = this.worst.length < worstMax || delay > this.worst[this.worst.length - 1]!.delay;
    if (!isWorst) return;
    this.worst.push(flight);
    this.worst.sort((one, other) => other.delay - one.delay);
    this.worst.length = Math.min(this.worst.length, worstMax);
  }

  busiest(count: number): Airport[] {
    return [...this.#airports.values()].sort((one, other) => other.flights - one.flights).slice(0, count);
  }
}
