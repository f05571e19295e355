/** What one node says of itself. Moments in milliseconds since 1970, with fractions, by its own clock. */
export interface NodeView {
  /** Neighbours with an Established session. */
  readonly established: number;
  readonly lastEstablishedAt: number;
  readonly lastRouteAt: number;
}

/** A kind of BGP daemon of which a mesh can be made. Nodes count from 1; a node is asked only when nothing is measured. */
export interface MeshDaemon {
  readonly version: string;
  readonly fileSuffix: string;
  /** The file of node `i`. @param dials false: it waits for all neighbours, and so do they */
  configuration(i: number, dials: boolean): string;
  /** What starts it, in the folder of its file. */
  command(i: number): readonly [program: string, ...args: string[]];
  /** How many prefixes it knows a route to. */
  prefixCount(i: number): Promise<number>;
  view(i: number): Promise<NodeView>;
  /** Makes it announce {@link EXTRA_PREFIX}; resolves when it says that it does. */
  announce(i: number): Promise<void>;
  withdraw(i: number): Promise<void>;
  /** When it has heard of that prefix; undefined: not yet. */
  heardAt(i: number): Promise<number | undefined>;
  /** Ends the connections to the nodes. */
  close(): Promise<void>;
}
