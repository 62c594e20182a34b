// A small HTTP listener for what operators read: metrics and health. GET and HEAD of exact paths only; it takes no bodies.
import { createServer } from "node:http";

export interface HttpPage {
  readonly contentType: string;
  readonly body: string;
  readonly status?: number;
}

export interface HttpListener {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Longest wait for a request's headers, and for a connection that says nothing. */
export const httpHeadersMsMax = 5_000;
export const httpIdleMsMax = 30_000;
export const httpConnectionCountMax = 64;

/** Rejects with the system's code (`EADDRINUSE` …). */
export function listenHttp(
  options: { readonly host: string; readonly port: number },
  pages: Readonly<Record<string, () => HttpPage | Promise<HttpPage>>>,
): Promise<HttpListener> {
  const server = createServer({
    headersTimeout: httpHeadersMsMax,
    keepAliveTimeout: httpIdleMsMax,
    maxHeaderSize: 16_384,
  });
  server.maxConnections = httpConnectionCountMax;
  server.on("request", (request, response) => {
    const path = (request.url ?? "").split("?", 1)[0]!;
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end();
      return;
    }
    if (page === undefined) {
      response.writeHead(404, { "content-type": "text/plain" }).end("not found\n");
      return;
    }
    const answer = ({ status = 200, contentType, body }: HttpPage): void => {
      const bytes = Buffer.from(body);
      response.writeHead(status, { "content-type": contentType, "content-length": bytes.length });
      response.end(request.method === "HEAD" ? undefined : bytes);
    };
    Promise.resolve()
      .then(page)
      .then(answer, () => answer({ status: 500, contentType: "text/plain", body: "the page could not be made\n" }));
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, () => {
      server.off("error", reject);
      const address = server.address() as { address: string; port: number };
      resolve({
        host: address.address,
        port: address.port,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed());
            server.closeAllConnections();
          }),
      });
    });
  });
}
