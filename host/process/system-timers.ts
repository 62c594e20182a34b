// Timers of the process, and the end of a turn of the loop: one setImmediate for all that waits for it.
//
// A timer keeps the process alive: a client that waits to reconnect has no socket, and must not fall out of its own program. Whoever
// sets one cancels it when it closes. Housekeeping that should not hold a process (the transport's wheel) is unref'd by its owner.
import type { Timers } from "@blumfeld/core/base";

/** setTimeout takes no more; a longer delay is waited for in pieces. */
const delayMsMax = 0x7fff_ffff;
/** Callbacks that queue callbacks are run in the same turn end; past this many rounds they are looping, and the sockets go first. */
export const turnEndRoundsMax = 100;

let waiting: (() => void)[] = [];
let isScheduled = false;

function schedule(): void {
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(runTurnEnd);
}

function runTurnEnd(): void {
  let current: (() => void)[] = waiting;
  let at = 0;
  try {
    for (let round = 0; round < turnEndRoundsMax && current.length > 0; round++) {
      waiting = [];
      for (at = 0; at < current.length; at++) current[at]!();
      current = waiting;
    }
    at = -1;
  } finally {
    // After a callback that threw, the others still get their turn.
    if (at >= 0) waiting = [...current.slice(at + 1), ...waiting];
    isScheduled = false;
    if (waiting.length > 0) schedule();
  }
}

export const systemTimers: Timers = {
  after(delayMs, callback) {
    let handle: NodeJS.Timeout;
    const start = (leftMs: number): void => {
      handle =
        leftMs <= delayMsMax
          ? setTimeout(callback, Math.max(0, Math.ceil(leftMs)))
          : setTimeout(() => start(leftMs - delayMsMax), delayMsMax);
    };
    start(delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
  atTurnEnd(callback) {
    waiting.push(callback);
    schedule();
  },
};
