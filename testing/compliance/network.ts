// What every Network must do. An implementation's test calls `networkCompliance` with a way to make one.
import { type Connection, type ConnectionHandler, type Network, seededRandom } from "@blumfeld/core/base";
import { afterEach, describe, expect, it } from "vitest";

export interface NetworkSubject {
  readonly network: Network;
  /** Ends connections and timers that the test left. */
  readonly dispose: () => Promise<void>;
}

/** A frame of `size` bytes drawn from `seed`, with its size before it. */
export function frameOf(seed: number, size: number): Buffer {
  const frame = Buffer.alloc(4 + size);
  frame.writeInt32BE(size, 0);
  seededRandom(seed).bytes(size).copy(frame, 4);
  return frame;
}

/** Keeps copies of what came, and lets a test wait for it. */
class Recorder implements ConnectionHandler {
  readonly frames: Buffer[] = [];
  closedBecause: string | null = null;
  drained = 0;
  bytesMax = 200 * 1024 * 1024;
  connection!: Connection;
  onEach: (frame: Buffer) => void = () => {};
  private wake: () => void = () => {};

  frameBytesMax(): number {
    return this.bytesMax;
  }
  onFrame(frame: Buffer): void {
    this.frames.push(Buffer.from(frame));
    this.onEach(frame);
    this.wake();
  }
  onDrain(): void {
    this.drained++;
    this.wake();
  }
  onClose(reason: string): void {
    expect(this.closedBecause).toBeNull();
    this.closedBecause = reason;
    this.wake();
  }
  async until(condition: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + 5_000;
    while (!condition()) {
      if (Date.now() > deadline) throw new Error(`not within 5 s: ${what}`);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, 10);
      });
    }
  }
}

export function networkCompliance(name: string, make: () => NetworkSubject): void {
  describe(`network: ${name}`, () => {
    let subject: NetworkSubject | null = null;
    afterEach(async () => {
      await subject?.dispose();
      subject = null;
    });

    async function pair(
      options: { frames?: "turn" | "own" } = {},
    ): Promise<{ server: Recorder; client: Recorder; port: number; network: Network }> {
      subject = make();
      const { network } = subject;
      const server = new Recorder();
      const listener = await network.listen({ host: "127.0.0.1", port: 0 }, (connection) => {
        server.connection = connection;
        return server;
      });
      const client = new Recorder();
      await network.connect({ host: "127.0.0.1", port: listener.port, timeoutMs: 5_000, ...options }, (connection) => {
        client.connection = connection;
        return client;
      });
      await server.until(() => server.connection !== undefined, "accepted");
      return { server, client, port: listener.port, network };
    }

    it("carries frames whole and in order, of every size from nothing to several MiB", async () => {
      const { server, client } = await pair();
      const sizes = [
        0, 1, 3, 4, 100, 16_380, 65_532, 65_536, 65_537, 300_000, 1_048_572, 1_048_576, 5_000_000, 7, 70_000, 12,
      ];
      for (const [seed, size] of sizes.entries()) client.connection.send([frameOf(seed, size)]);
      await server.until(() => server.frames.length === sizes.length, "all frames");
      for (const [seed, size] of sizes.entries()) {
        expect(server.frames[seed]!.equals(frameOf(seed, size).subarray(4)), `frame ${seed} of ${size} bytes`).toBe(
          true,
        );
      }
    });

    it("carries frames whole however their bytes are cut", async () => {
      const { server, client } = await pair();
      const random = seededRandom(8231);
      const frames = Array.from({ length: 300 }, (_, seed) =>
        frameOf(seed, random.below(seed % 17 === 0 ? 200_000 : 2_000)),
      );
      const stream = Buffer.concat(frames);
      for (let at = 0; at < stream.length; ) {
        const size = 1 + random.below(random.below(8) === 0 ? 150_000 : 3_000);
        client.connection.send([stream.subarray(at, at + size)]);
        at += size;
        if (random.below(3) === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await server.until(() => server.frames.length === frames.length, "all frames");
      frames.forEach((frame, index) => {
        expect(server.frames[index]!.equals(frame.subarray(4)), `frame ${index}`).toBe(true);
      });
    });

    it("answers, with frames that belong to the client for good", async () => {
      const { server, client } = await pair({ frames: "own" });
      const kept: Buffer[] = [];
      client.onEach = (frame) => void kept.push(frame);
      server.onEach = (frame) => {
        const size = Buffer.alloc(4);
        size.writeInt32BE(frame.length, 0);
        server.connection.send([size, Buffer.from(frame)]);
      };
      const sizes = [10, 3_000_000, 20, 65_536, 100_000, 30];
      for (const [seed, size] of sizes.entries()) client.connection.send([frameOf(seed, size)]);
      await client.until(() => kept.length === sizes.length, "all answers");
      for (const [seed, size] of sizes.entries())
        expect(kept[seed]!.equals(frameOf(seed, size).subarray(4))).toBe(true);
    });

    it("keeps the views of one turn intact until the turn ends", async () => {
      const { server, client } = await pair();
      const views: { view: Buffer; copy: Buffer }[] = [];
      let wrong = 0;
      server.onEach = (frame) => {
        if (views.length === 0)
          queueMicrotask(() => {
            for (const { view, copy } of views) if (!view.equals(copy)) wrong++;
            views.length = 0;
          });
        views.push({ view: frame, copy: Buffer.from(frame) });
      };
      for (let seed = 0; seed < 400; seed++) client.connection.send([frameOf(seed, (seed * 7919) % 40_000)]);
      await server.until(() => server.frames.length === 400, "all frames");
      expect(wrong).toBe(0);
    });

    it("calls `sent` once for each send, when its bytes have left", async () => {
      const { server, client } = await pair();
      let sent = 0;
      for (let seed = 0; seed < 50; seed++) client.connection.send([frameOf(seed, 50_000)], () => sent++);
      expect(client.connection.unsentBytes).toBe(50 * 50_004);
      await server.until(() => server.frames.length === 50, "all frames");
      await client.until(() => sent === 50 && client.connection.unsentBytes === 0, "all sent");
    });

    it("gives `sent` back for what could not be sent", async () => {
      const { client } = await pair();
      let sent = 0;
      client.connection.send([frameOf(1, 10)], () => sent++);
      client.connection.destroy();
      client.connection.send([frameOf(1, 10)], () => sent++);
      expect(sent).toBe(2);
      expect(client.closedBecause).not.toBeNull();
    });

    it("hands over no frame between pause and resume, and all of them after", async () => {
      const { server, client } = await pair();
      server.onEach = () => {
        if (server.frames.length === 2) server.connection.pause();
      };
      for (let seed = 0; seed < 10; seed++) client.connection.send([frameOf(seed, 5_000)]);
      await server.until(() => server.frames.length === 2, "two frames");
      for (let seed = 10; seed < 20; seed++) client.connection.send([frameOf(seed, 50_000)]);
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(server.frames.length).toBe(2);
      server.onEach = () => {};
      server.connection.resume();
      expect(server.frames.length).toBe(2);
      await server.until(() => server.frames.length === 20, "the rest");
      for (let seed = 0; seed < 20; seed++)
        expect(server.frames[seed]!.equals(frameOf(seed, seed < 10 ? 5_000 : 50_000).subarray(4))).toBe(true);
    });

    it("goes on one frame at a time where each is paused and resumed", async () => {
      const { server, client } = await pair();
      let inWork = 0;
      server.onEach = () => {
        inWork++;
        expect(inWork).toBe(1);
        server.connection.pause();
        setTimeout(() => {
          inWork--;
          server.connection.resume();
        }, 1);
      };
      client.connection.send(Array.from({ length: 20 }, (_, seed) => frameOf(seed, 100)));
      await server.until(() => server.frames.length === 20, "all frames");
    });

    it("notices the peer's end while paused with nothing waiting", async () => {
      const { server, client } = await pair();
      server.onEach = () => server.connection.pause();
      client.connection.send([frameOf(1, 100)]);
      await server.until(() => server.frames.length === 1, "the frame");
      client.connection.destroy();
      await server.until(() => server.closedBecause !== null, "the end");
    });

    it("closes on a negative size and on one above the bound, which is asked anew for each frame", async () => {
      const { server, client } = await pair();
      server.bytesMax = 100;
      client.connection.send([frameOf(1, 100)]);
      await server.until(() => server.frames.length === 1, "the first frame");
      client.connection.send([frameOf(2, 101).subarray(0, 4)]);
      await server.until(() => server.closedBecause !== null, "the end");
      expect(server.closedBecause).toBe("frame size 101 > 100");
      expect(server.frames.length).toBe(1);
      await client.until(() => client.closedBecause !== null, "the client's end");
      await subject?.dispose();
      const other = await pair();
      other.client.connection.send([Buffer.from([0xff, 0xff, 0xff, 0xff])]);
      await other.server.until(() => other.server.closedBecause !== null, "the end");
      expect(other.server.closedBecause).toBe("frame size -1");
    });

    it("sends what is queued before it closes", async () => {
      const { server, client } = await pair();
      client.connection.send([frameOf(1, 2_000_000)]);
      client.connection.close();
      client.connection.send([frameOf(2, 10)]);
      await server.until(() => server.closedBecause !== null, "the end");
      expect(server.frames.length).toBe(1);
      expect(server.frames[0]!.length).toBe(2_000_000);
      await client.until(() => client.closedBecause !== null, "the client's end");
    });

    it("tells onDrain after a slow peer has caught up", async () => {
      const { server, client } = await pair();
      client.onEach = () => client.connection.pause();
      for (let seed = 0; seed < 20; seed++) server.connection.send([frameOf(seed, 1_000_000)]);
      await client.until(() => client.frames.length === 1, "the first frame");
      expect(server.connection.unsentBytes).toBeGreaterThan(0);
      client.onEach = () => {};
      client.connection.resume();
      await client.until(() => client.frames.length === 20, "all frames");
      await server.until(() => server.drained === 1 && server.connection.unsentBytes === 0, "the drain");
    });

    it("refuses to connect where nobody listens, and to listen where somebody does", async () => {
      const { port, network } = await pair();
      await expect(network.listen({ host: "127.0.0.1", port }, () => new Recorder())).rejects.toMatchObject({
        code: "EADDRINUSE",
      });
      const listener = await network.listen({ host: "127.0.0.1", port: 0 }, () => new Recorder());
      await listener.close();
      await expect(
        network.connect({ host: "127.0.0.1", port: listener.port, timeoutMs: 1_000 }, () => new Recorder()),
      ).rejects.toMatchObject({ code: "ECONNREFUSED" });
    });

    it("keeps connections when the listener closes", async () => {
      subject = make();
      const server = new Recorder();
      const listener = await subject.network.listen({ host: "127.0.0.1", port: 0 }, (connection) => {
        server.connection = connection;
        return server;
      });
      const client = new Recorder();
      const connection = await subject.network.connect(
        { host: "127.0.0.1", port: listener.port, timeoutMs: 5_000 },
        () => client,
      );
      await server.until(() => server.connection !== undefined, "accepted");
      await listener.close();
      connection.send([frameOf(1, 10)]);
      await server.until(() => server.frames.length === 1, "a frame after the listener's end");
    });

    it("does not begin a connection that is not admitted", async () => {
      subject = make();
      let accepted = 0;
      const listener = await subject.network.listen({ host: "127.0.0.1", port: 0, admit: () => -1 }, () => {
        accepted++;
        return new Recorder();
      });
      const client = new Recorder();
      await subject.network.connect({ host: "127.0.0.1", port: listener.port, timeoutMs: 5_000 }, () => client);
      await client.until(() => client.closedBecause !== null, "the end");
      expect(accepted).toBe(0);
    });
  });
}
