// The run's own hands on the cluster: a Java process that creates, writes, reads and describes by commands.
import type { Program } from "../runner/client.ts";
import { Member, type MemberEvent, until } from "./member.ts";

export type Ends = Readonly<Record<string, number>>;
export type GroupView = { state: string; type: string; members: Record<string, number[]> };
type Answer = MemberEvent & { id: number; value?: unknown; error?: string };

const answerMsMax = 90_000;

export class Driver {
  readonly #answers: MemberEvent[] = [];
  readonly #process: Member;
  #commands = 0;
  #read = 0;
  readonly #waiting = new Map<number, (answer: Answer) => void>();

  constructor(java: Program, bootstrap: string) {
    this.#process = new Member("driver", java, ["driver", `bootstrap=${bootstrap}`], this.#answers);
  }

  ready(): Promise<void> {
    return until(
      "the driver's start",
      30_000,
      () => this.#process.isStarted,
      () => this.#process.errors,
    );
  }

  async #ask<T>(command: Record<string, unknown>): Promise<T> {
    const id = ++this.#commands;
    let answer: Answer | undefined;
    this.#waiting.set(id, (given) => {
      answer = given;
    });
    this.#process.write(JSON.stringify({ id, ...command }));
    await until(
      `${command.do}`,
      answerMsMax,
      () => {
        for (; this.#read < this.#answers.length; this.#read++) {
          const event = this.#answers[this.#read] as Answer;
          if (event.event === "answer") this.#waiting.get(event.id)?.(event);
        }
        return answer !== undefined;
      },
      () => this.#process.errors,
    );
    this.#waiting.delete(id);
    if (answer?.error !== undefined) throw new Error(`${command.do}: ${answer.error}`);
    return answer?.value as T;
  }

  create(topic: string, partitions: number): Promise<void> {
    return this.#ask({ do: "create", topic, partitions });
  }
  /** Writes at this rate until `stopWriting`: each partition's own count 0, 1, 2 …, or words. */
  write(topic: string, partitions: number, rate: number, words = false): Promise<void> {
    return this.#ask({ do: "write", topic, partitions, rate, words });
  }
  stopWriting(topic: string): Promise<Ends> {
    return this.#ask({ do: "stopWriting", topic });
  }
  ends(topic: string, isolation: "read_committed" | "read_uncommitted"): Promise<Ends> {
    return this.#ask({ do: "ends", topic, isolation });
  }
  committed(group: string, topic: string): Promise<Ends> {
    return this.#ask({ do: "committed", group, topic });
  }
  /** Of each partition of a share group: how many records are not yet finished. */
  shareLag(group: string): Promise<Ends> {
    return this.#ask({ do: "shareLag", group });
  }
  group(group: string): Promise<GroupView> {
    return this.#ask({ do: "group", group });
  }
  groupConfig(group: string, configs: Record<string, string>): Promise<void> {
    return this.#ask({ do: "groupConfig", group, configs });
  }
  /** All records that read_committed shows. */
  read(topic: string): Promise<[partition: number, key: string | null, value: string][]> {
    return this.#ask({ do: "read", topic });
  }

  close(): Promise<void> {
    return this.#process.kill();
  }
}

/** Whether each partition of `ends` was reached. */
export function reached(offsets: Ends, ends: Ends): boolean {
  return Object.entries(ends).every(([partition, end]) => end === 0 || offsets[partition] === end);
}
