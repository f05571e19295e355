// The AS of each node of a Calico cluster, as its store says it.
import { CalicoClient, type StoreAddress } from "./calico-client.ts";

/** Calico's own, where nothing says another. */
const AS_NUMBER_DEFAULT = 64_512;

/** By name. A node that names none has that of BGPConfiguration `default`. @throws PodloomError as `CalicoClient.list` */
export async function nodeAsNumbers(store: StoreAddress): Promise<ReadonlyMap<string, number>> {
  const client = await CalicoClient.open(store, () => undefined);
  try {
    const configurations = await client.list("BGPConfiguration");
    const common = configurations.find(({ resource }) => resource.metadata.name === "default")?.resource.spec;
    const nodes = await client.list("Node");
    return new Map(
      nodes.map(({ resource: { metadata, spec } }) => [
        metadata.name,
        spec.bgp?.asNumber ?? common?.asNumber ?? AS_NUMBER_DEFAULT,
      ]),
    );
  } finally {
    await client.close();
  }
}
