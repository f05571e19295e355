// What BGPConfiguration `default`, and `node.<name>` for three fields of it, mean for nodes.
import type { BGPConfigurationSpec, SecretRef } from "../resources.ts";
import { goDurationSec } from "./go-duration.ts";

/** Of a node without a setting, and of the cluster. */
export const DEFAULT_AS = 64512;
export const BGP_PORT = 179;

/** The part that makes peers. */
export interface MeshSettings {
  readonly enabled: boolean;
  readonly asNumber: number;
  readonly listenPort: number;
  readonly password: SecretRef["secretKeyRef"] | undefined;
  readonly maxRestartTimeSec: number | undefined;
}

/** @param defaultAs the node's own default, for a cluster without a setting */
export function meshSettings(spec: BGPConfigurationSpec | undefined, defaultAs: number): MeshSettings {
  const { nodeMeshMaxRestartTime: restart } = spec ?? {};
  return {
    enabled: spec?.nodeToNodeMeshEnabled ?? true,
    asNumber: spec?.asNumber ?? defaultAs,
    listenPort: spec?.listenPort ?? BGP_PORT,
    password: spec?.nodeMeshPassword?.secretKeyRef,
    maxRestartTimeSec: restart === undefined ? undefined : goDurationSec(restart),
  };
}

export function sameMesh(x: MeshSettings, y: MeshSettings): boolean {
  return (
    x.enabled === y.enabled &&
    x.asNumber === y.asNumber &&
    x.listenPort === y.listenPort &&
    x.password?.name === y.password?.name &&
    x.password?.key === y.password?.key &&
    x.maxRestartTimeSec === y.maxRestartTimeSec
  );
}

/** The node that a configuration is about: "worker-1" of "node.worker-1"; undefined: it is about no single node. */
export function nodeOfConfiguration(name: string): string | undefined {
  return name.startsWith("node.") ? name.slice("node.".length) : undefined;
}
