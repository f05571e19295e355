// Commands about Calico's resources and addresses speak with the store itself: a lab's, or the one that --etcd names.
import { PodloomError } from "../io/podloom-error.ts";
import { CalicoClient, PERSONS_TIMEOUT_US, type StoreAddress } from "../lab/calico-client.ts";
import { type CommandContext, withLab } from "./command-context.ts";

/** Which store. */
export interface WhichStore {
  readonly lab: string | undefined;
  /** Endpoints: `http://host:port[,…]`. */
  readonly etcd: string | undefined;
}

const ENDPOINT = /^http:\/\/[^\s,/]+:\d{1,5}$/;

/** Connects, runs `use`, and closes the connection whatever happens. @throws PodloomError PL_USAGE, and as `findLab` */
export async function withStore<T>(
  which: WhichStore,
  cx: CommandContext,
  use: (client: CalicoClient) => Promise<T>,
): Promise<T> {
  const store = which.etcd === undefined ? await labStore(which.lab, cx) : readStore(which.etcd);
  const client = await CalicoClient.open(store, (text) => cx.terminal.note(text), PERSONS_TIMEOUT_US);
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

function labStore(lab: string | undefined, cx: CommandContext): Promise<StoreAddress> {
  return withLab(lab, cx, async (client) => {
    const { name, cni, store } = await client.ask("status", { withStore: false });
    if (cni === "calico") return store;
    throw new PodloomError(
      "PL_NO_CALICO",
      `the lab "${name}" runs Flannel: it has no resources of Calico's`,
      {
        remedy:
          "Start one with cni: calico, such as examples/calico-ipip.yaml, or name a store with --etcd URL.",
      },
    );
  });
}

function readStore(text: string): StoreAddress {
  const endpoints = text.split(",").map((endpoint) => endpoint.trim().replace(/\/$/, ""));
  const wrong = endpoints.find((endpoint) => !ENDPOINT.test(endpoint));
  if (wrong === undefined) return { endpoints, client: "slim" };
  throw new PodloomError("PL_USAGE", `--etcd does not take "${wrong}"`, {
    remedy: "Write it like http://127.0.0.1:2379, several with commas between.",
  });
}
