// Does every pod reach every other? All ordered pairs are pinged; beyond a limit a seeded sample of them, and the result says so.
import { below, SeededRng } from "../base/rng.ts";
import type { ProbeArgs, ProbeResult } from "../io/ipc/protocol.ts";
import { type RttSummary, summarize } from "./statistics.ts";

/** A pod as far as pinging needs it. */
export interface PodAddress {
  readonly name: string;
  readonly node: string;
  readonly ip: string;
}

/** Something that can ping from a pod: a lab's control connection. */
export interface Prober {
  probe(args: ProbeArgs): Promise<readonly ProbeResult[]>;
}

/** Up to so many pods the sources take turns. */
const ONE_BY_ONE_MAX = 24;

/** How to measure. */
export interface ReachabilityOptions {
  /** Pings a pair. The first reply waits for addresses to be resolved on the way; unless it is the only one, its time is not counted. */
  readonly count: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Beyond this many pairs a sample of this size is taken. */
  readonly pairsMax: number;
  readonly seed: number;
  /** Source pods that ping at once. Default: one, so that they do not delay each other; two for more than 24 pods. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal;
  /** Told after each source pod. */
  readonly onProgress?: (pairsDone: number, pairs: number) => void;
}

export const REACHABILITY_DEFAULTS: ReachabilityOptions = {
  count: 5,
  intervalMs: 20,
  timeoutMs: 1000,
  pairsMax: 2000,
  seed: 1,
};

/** What became of one ordered pair. */
export interface PairResult {
  readonly from: string;
  readonly to: string;
  readonly sent: number;
  readonly received: number;
  /** Without the first reply, unless {@link Reachability.firstReplyCounted}; undefined when nothing came back. */
  readonly rtt: RttSummary | undefined;
  /** Why, in ping's words, where the stack said so. */
  readonly error: string | undefined;
}

/** What became of all. */
export interface Reachability {
  readonly pods: readonly PodAddress[];
  readonly pairs: readonly PairResult[];
  /** Ordered pairs that exist; more than `pairs` when a sample was taken. */
  readonly pairsTotal: number;
  /** Set when a sample was taken. */
  readonly sampleSeed: number | undefined;
  readonly sent: number;
  readonly received: number;
  /** Pairs of which not every ping came back. */
  readonly pairsWithLoss: number;
  /** Does `rtt` count the first reply of each pair? Only when one ping a pair was sent. */
  readonly firstReplyCounted: boolean;
  readonly rtt: RttSummary | undefined;
}

/** Pings the pairs. Rejects with what `prober` rejects with, or when `signal` is aborted. */
export async function measureReachability(
  prober: Prober,
  pods: readonly PodAddress[],
  options: ReachabilityOptions,
): Promise<Reachability> {
  const plan = planPairs(pods, options.pairsMax, options.seed);
  const pairs: PairResult[] = [];
  const samples: number[] = [];
  const queue = [...plan.targets];
  const concurrency = options.concurrency ?? (pods.length > ONE_BY_ONE_MAX ? 2 : 1);
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      options.signal?.throwIfAborted();
      const [from, targets] = next;
      const { count, intervalMs, timeoutMs } = options;
      for (const greeted of greetings(from, targets)) {
        await prober.probe({ pod: from.name, targets: greeted, count: 1, intervalMs: 0, timeoutMs });
      }
      const request = { pod: from.name, targets: targets.map((to) => to.ip), count, intervalMs, timeoutMs };
      const results = await prober.probe(request);
      collect(from, targets, results, count, pairs, samples);
      options.onProgress?.(pairs.length, plan.count);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  const order = new Map(pods.map((pod, i) => [pod.name, i]));
  const rank = (pair: PairResult): number =>
    (order.get(pair.from) ?? 0) * pods.length + (order.get(pair.to) ?? 0);
  pairs.sort((a, b) => rank(a) - rank(b));
  return {
    pods,
    pairs,
    pairsTotal: pods.length * Math.max(0, pods.length - 1),
    sampleSeed: plan.sampled ? options.seed : undefined,
    sent: pairs.reduce((sum, pair) => sum + pair.sent, 0),
    received: pairs.reduce((sum, pair) => sum + pair.received, 0),
    pairsWithLoss: pairs.filter((pair) => pair.received < pair.sent).length,
    firstReplyCounted: options.count === 1,
    rtt: summarize(samples),
  };
}

/**
 * Lone pings that count for nothing: one, which resolves the pod's gateway, then one to each other node, which resolves the next hops
 * between nodes. A neighbour that is being resolved keeps three packets, as Linux does, so that many first packets at once would
 * lose all others.
 */
function greetings(from: PodAddress, targets: readonly PodAddress[]): (readonly string[])[] {
  const byNode = new Map<string, string>();
  for (const to of targets) if (to.node !== from.node && !byNode.has(to.node)) byNode.set(to.node, to.ip);
  const [first, ...others] = byNode.size > 0 ? byNode.values() : targets.slice(0, 1).map(({ ip }) => ip);
  return [first === undefined ? [] : [first], others].filter((greeted) => greeted.length > 0);
}

function collect(
  from: PodAddress,
  targets: readonly PodAddress[],
  results: readonly ProbeResult[],
  count: number,
  pairs: PairResult[],
  samples: number[],
): void {
  const byIp = new Map(results.map((result) => [result.target, result]));
  for (const to of targets) {
    const result = byIp.get(to.ip);
    const rttUs = result?.rttUs ?? [];
    const settled = count > 1 ? rttUs.slice(1) : rttUs;
    for (const us of settled) samples.push(us);
    pairs.push({
      from: from.name,
      to: to.name,
      // A pair that was not even tried counts as lost: a gap must never look like success.
      sent: result?.sent ?? count,
      received: result?.received ?? 0,
      rtt: summarize(settled),
      error: result === undefined ? "no result" : result.error,
    });
  }
}

interface Plan {
  readonly targets: readonly (readonly [PodAddress, readonly PodAddress[]])[];
  readonly count: number;
  readonly sampled: boolean;
}

/** Which pairs to ping: all, or a sample drawn with `seed` that is spread evenly over the sources. */
export function planPairs(pods: readonly PodAddress[], pairsMax: number, seed: number): Plan {
  const all = pods.length * Math.max(0, pods.length - 1);
  const others = (from: PodAddress): PodAddress[] => pods.filter((to) => to !== from);
  if (all <= pairsMax) {
    return { targets: pods.map((from) => [from, others(from)]), count: all, sampled: false };
  }
  const rng = new SeededRng(seed);
  const quota = Math.floor(pairsMax / pods.length);
  let extra = pairsMax - quota * pods.length;
  const targets: [PodAddress, PodAddress[]][] = [];
  let count = 0;
  for (const from of pods) {
    const wanted = quota + (extra-- > 0 ? 1 : 0);
    if (wanted === 0) continue;
    const candidates = others(from);
    // The first `wanted` places of a Fisher-Yates shuffle.
    for (let i = 0; i < wanted; i++) {
      const j = i + below(rng, candidates.length - i);
      [candidates[i], candidates[j]] = [candidates[j] as PodAddress, candidates[i] as PodAddress];
    }
    targets.push([from, candidates.slice(0, wanted)]);
    count += wanted;
  }
  return { targets, count, sampled: true };
}
