// The TCP network against the port's suite, and what only it has: deadlines, memory bounds, raw speed.
import net from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { frameOf, networkCompliance } from "../../testing/compliance/network.ts";
import type { TcpLimits } from "./tcp-limits.ts";
import { TcpNetwork } from "./tcp-network.ts";

networkCompliance("TCP", () => {
  const network = new TcpNetwork();
  return { network, dispose: async () => network.destroyAll() };
});

describe("TCP network", () => {
  let network: TcpNetwork | null = null;
  const sockets: net.Socket[] = [];
  afterEach(() => {
    network?.destroyAll();
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  async function serve(limits: Partial<TcpLimits>): Promise<{ port: number; closed: string[]; frames: number[] }> {
    network = new TcpNetwork(limits);
    const closed: string[] = [];
    const frames: number[] = [];
    const listener = await network.listen({ host: "127.0.0.1", port: 0 }, () => ({
      frameBytesMax: () => 100 * 1024 * 1024,
      onFrame: (frame) => void frames.push(frame.length),
      onClose: (reason) => void closed.push(reason),
    }));
    return { port: listener.port, closed, frames };
  }

  async function open(port: number): Promise<net.Socket> {
    const socket = net.connect(port, "127.0.0.1");
    sockets.push(socket);
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("connect", resolve));
    return socket;
  }

  async function until(condition: () => boolean): Promise<void> {
    for (let waited = 0; !condition(); waited++) {
      if (waited > 500) throw new Error("not within 5 s");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  it("closes a connection that is idle, and one whose frame makes no progress, but none that moves", async () => {
    const { port, closed, frames } = await serve({ connectionIdleMs: 400, frameProgressMs: 150, deadlineTickMs: 20 });
    await open(port);
    const stuck = await open(port);
    stuck.write(frameOf(1, 1000).subarray(0, 500));
    const busy = await open(port);
    const ticking = setInterval(() => busy.write(frameOf(2, 10)), 50);
    await until(() => closed.length === 2);
    clearInterval(ticking);
    expect(closed[0]).toMatch(/a frame that has begun made no progress in 150 ms/);
    expect(closed[1]).toBe("idle for 400 ms");
    expect(frames.length).toBeGreaterThan(2);
    await until(() => closed.length === 3);
  });

  it("allocates nothing for a size that is only declared", async () => {
    const { port } = await serve({});
    const size = Buffer.alloc(4);
    size.writeInt32BE(100 * 1024 * 1024, 0);
    for (let count = 0; count < 50; count++) (await open(port)).write(Buffer.concat([size, Buffer.alloc(10)]));
    await until(() => network!.memory.givenBytes === 50 * 64 * 1024);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(network!.memory.givenBytes).toBe(50 * 64 * 1024);
  });

  it("holds no receive memory for connections that are silent between frames", async () => {
    const { port, frames } = await serve({});
    for (let count = 0; count < 20; count++)
      (await open(port)).write(Buffer.concat([frameOf(1, 9_000), frameOf(2, 30)]));
    await until(() => frames.length === 40);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(network!.memory.givenBytes).toBe(0);
  });

  it("closes the connection that would pass the bound of receive memory", async () => {
    const { port, closed } = await serve({ receiveBytesMax: 4 * 1024 * 1024 });
    const size = Buffer.alloc(4);
    size.writeInt32BE(50 * 1024 * 1024, 0);
    const socket = await open(port);
    socket.write(size);
    socket.write(Buffer.alloc(10 * 1024 * 1024));
    await until(() => closed.length === 1);
    expect(closed[0]).toMatch(/^no memory for a frame of 52428804 bytes/);
    await until(() => network!.memory.givenBytes === 0);
  });

  it("closes the connection that does not take its answers, and at the bound of all, the worst", async () => {
    network = new TcpNetwork({ connectionUnsentBytesMax: 20_000_000, unsentBytesMax: 30_000_000 });
    const closed: string[] = [];
    const listener = await network.listen({ host: "127.0.0.1", port: 0 }, (connection) => ({
      frameBytesMax: () => 1000,
      onFrame: (frame) => connection.send([Buffer.alloc(frame.readInt32BE(0))]),
      onClose: (reason) => void closed.push(reason),
    }));
    const ask = async (bytes: number): Promise<void> => {
      const socket = await open(listener.port);
      socket.pause();
      const request = Buffer.alloc(8);
      request.writeInt32BE(4, 0);
      request.writeInt32BE(bytes, 4);
      socket.write(request);
    };
    await ask(21_000_000);
    await until(() => closed.length === 1);
    expect(closed[0]).toBe("21000000 bytes are not taken by the peer");
    await ask(14_000_000);
    await ask(19_000_000);
    await until(() => closed.length === 2);
    expect(closed[1]).toMatch(/memory for answers is exhausted/);
  });
});
