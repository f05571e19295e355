import { once } from "node:events";
import { createServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { MetricsServer, type MetricsServerOptions } from "../../../src/io/metrics-server.ts";

const open: MetricsServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

async function serve(more: Partial<MetricsServerOptions> = {}): Promise<string> {
  const server = await MetricsServer.listen({
    host: "127.0.0.1",
    port: 0,
    token: undefined,
    contentType: "text/plain; version=0.0.4",
    text: async () => "up 1\n",
    ...more,
  });
  open.push(server);
  return `http://${server.address}`;
}

describe("metrics over HTTP", () => {
  test("GET /metrics, and nothing else", async () => {
    const url = await serve();
    const answer = await fetch(`${url}/metrics?x=1`);
    expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([
      200,
      "text/plain; version=0.0.4",
      "up 1\n",
    ]);
    expect((await fetch(url)).status).toBe(404);
    const posted = await fetch(`${url}/metrics`, { method: "POST", body: "x" });
    expect([posted.status, posted.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    expect(await (await fetch(`${url}/metrics`, { method: "HEAD" })).text()).toBe("");
  });

  test("what cannot be told is an error of the server, which goes on", async () => {
    let times = 0;
    const url = await serve({
      text: async () => {
        if (times++ === 0) throw new Error("not now");
        return "up 1\n";
      },
    });
    expect((await fetch(`${url}/metrics`)).status).toBe(500);
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
  });

  test("with a token, only who shows it is told", async () => {
    const url = await serve({ host: "0.0.0.0", token: "s3cret" });
    const at = `${url.replace("0.0.0.0", "127.0.0.1")}/metrics`;
    const status = async (authorization?: string) =>
      (await fetch(at, authorization === undefined ? {} : { headers: { authorization } })).status;
    expect(await status()).toBe(401);
    expect(await status("Bearer s3cre")).toBe(401);
    expect(await status("Basic s3cret")).toBe(401);
    expect(await status("Bearer s3cret")).toBe(200);
  });

  test("without a token, nobody off this machine is told", async () => {
    await expect(serve({ host: "0.0.0.0" })).rejects.toMatchObject({
      code: "PL_METRICS_OPEN",
      remedy: expect.stringContaining("PODLOOM_METRICS_TOKEN"),
    });
  });

  test("a port that somebody has", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    await expect(serve({ port })).rejects.toMatchObject({
      code: "PL_METRICS_PORT",
      message: `127.0.0.1:${port}, for metrics, is in use by another process`,
    });
    taken.close();
  });

  test("closing does not wait for an answer that does not come", async () => {
    let asked = false;
    const url = await serve({
      text: () => {
        asked = true;
        return new Promise(() => {});
      },
    });
    const answer = fetch(`${url}/metrics`).catch((thrown: unknown) => thrown);
    await expect.poll(() => asked).toBe(true);
    await open.pop()?.close();
    expect(await answer).toBeInstanceOf(Error);
  });
});
