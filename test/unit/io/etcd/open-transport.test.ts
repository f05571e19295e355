import { expect, test } from "vitest";
import { Etcd3Transport } from "../../../../src/io/etcd/etcd3-transport.ts";
import { openTransport, STORE_CLIENTS } from "../../../../src/io/etcd/open-transport.ts";
import { SlimTransport } from "../../../../src/io/etcd/slim/slim-transport.ts";

test("the word chooses the client; slim is the default", async () => {
  expect(STORE_CLIENTS[0]).toBe("slim");
  const kinds = { slim: SlimTransport, etcd3: Etcd3Transport };
  for (const client of STORE_CLIENTS) {
    const transport = await openTransport({ endpoints: ["http://127.0.0.1:1"] }, client);
    expect(transport).toBeInstanceOf(kinds[client]);
    await transport.close();
  }
});
