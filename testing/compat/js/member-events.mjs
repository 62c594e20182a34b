// A member of a group, in a process of its own: the options of its command line and the lines in which it tells what happens to it.

/** `consumer name=value …` of the command line. */
export function memberOptions() {
  const pairs = process.argv.slice(3).map((text) => {
    const equals = text.indexOf("=");
    return [text.slice(0, equals), text.slice(equals + 1)];
  });
  return Object.fromEntries(pairs);
}

export function say(event, fields = {}) {
  process.stdout.write(`${JSON.stringify({ event, ms: Date.now(), ...fields })}\n`);
}

/** Tells what the member holds, as it changes. */
export class Holding {
  #held = [];

  get held() {
    return this.#held;
  }

  assigned(partitions, generation) {
    this.#held = [...partitions].sort((a, b) => a - b);
    say("assigned", { partitions: this.#held, ...(generation === undefined ? {} : { generation }) });
  }

  revoked() {
    if (this.#held.length > 0) say("revoked", { partitions: this.#held });
    this.#held = [];
  }
}

/** Leaves on SIGTERM. */
export function leaveWith(leave) {
  process.once("SIGTERM", async () => {
    await leave().catch((error) => say("failed", { why: `${error}` }));
    say("left");
    setTimeout(() => process.exit(0), 50);
  });
}
