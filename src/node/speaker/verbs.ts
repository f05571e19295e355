// What a speaker answers over its socket: the verbs of `io/ipc/speaker-protocol.ts`.
import * as z from "zod/mini";
import type { IncomingRequest } from "../../io/ipc/connection.ts";
import type { SpeakerVerb, SpeakerVerbs } from "../../io/ipc/speaker-protocol.ts";
import { PodloomError } from "../../io/podloom-error.ts";
import { parseRibAddress } from "../../routing/bgp/rib/prefix-text.ts";
import { formatRibPrefix } from "../../routing/bgp/speaker/inspect.ts";
import { networkFault, networkOf } from "./file/resolve.ts";
import { networkSchema } from "./file/speaker-schema.ts";
import { parsePrefixArgument } from "./queries.ts";
import { streamRows, streamText } from "./row-stream.ts";
import type { SpeakerProcess } from "./speaker-process.ts";

/** A text for the neighbour's people: longer ones are cut, but a megabyte is none. */
const text = z.string().check(z.maxLength(1000));
const label = z.string().check(z.maxLength(256));

const RoutesShape = z.object({ prefix: z.exactOptional(label), longest: z.exactOptional(z.boolean()) });
const NeighborShape = z.object({ neighbor: label });
const ExplainShape = z.object({ prefix: label, neighbor: z.exactOptional(label) });
const ResetShape = z.object({
  neighbor: label,
  soft: z.exactOptional(z.enum(["in", "out"])),
  text: z.exactOptional(text),
});
const ShutdownShape = z.object({ neighbor: label, text: z.exactOptional(text) });
const AnnounceShape = z.object({ network: networkSchema });
const WithdrawShape = z.object({ prefix: label });
const BirdcShape = z.object({ argv: z.array(z.string().check(z.maxLength(10_000))).check(z.maxLength(256)) });
const StopShape = z.object({ text: z.exactOptional(text), silent: z.exactOptional(z.boolean()) });

/** What the verbs work on. */
export interface VerbContext {
  readonly process: SpeakerProcess;
  /** Ends the process. */
  readonly stop: (how: SpeakerVerbs["stop"]["args"], why: string) => void;
}

/** Answers at once, or by a promise; what it throws is the request's failure. */
type Verb = (request: IncomingRequest, cx: VerbContext) => void | Promise<void>;

const VERBS: Readonly<Record<SpeakerVerb, Verb>> = {
  ping: (request, { process: { plan } }) => done(request, "ping", { name: plan.name, pid: process.pid }),
  "bgp-status": (request, cx) => done(request, "bgp-status", cx.process.status()),
  "bgp-peers": (request, cx) => streamRows(request, cx.process.queries.peers()),
  "bgp-routes": (request, cx) => {
    const { prefix, longest } = read(RoutesShape, request);
    const only = prefix === undefined ? undefined : (parseRibAddress(prefix) ?? parsePrefixArgument(prefix));
    return streamRows(request, cx.process.queries.routes(only, longest));
  },
  "bgp-rib-in": (request, { process: { queries } }) =>
    streamRows(request, queries.ribIn(queries.neighbor(read(NeighborShape, request).neighbor))),
  "bgp-rib-out": (request, { process: { queries } }) =>
    streamRows(request, queries.ribOut(queries.neighbor(read(NeighborShape, request).neighbor))),
  "bgp-explain": (request, cx) => {
    const { prefix, neighbor } = read(ExplainShape, request);
    done(request, "bgp-explain", cx.process.queries.explain(prefix, neighbor));
  },
  "bgp-reset": (request, cx) => {
    const { neighbor: named, soft, text } = read(ResetShape, request);
    const neighbor = cx.process.queries.neighbor(named);
    cx.process.change((speaker, now) => {
      if (soft === "in") speaker.refreshIn(neighbor, now);
      else if (soft === "out") speaker.refreshOut(neighbor, now);
      else speaker.reset(neighbor, text, now);
    });
    done(request, "bgp-reset", {});
  },
  "bgp-shutdown": (request, cx) => {
    const { neighbor: named, text } = read(ShutdownShape, request);
    const neighbor = cx.process.queries.neighbor(named);
    cx.process.change((speaker, now) => speaker.shutdown(neighbor, text, now));
    done(request, "bgp-shutdown", {});
  },
  "bgp-enable": (request, cx) => {
    const neighbor = cx.process.queries.neighbor(read(NeighborShape, request).neighbor);
    cx.process.change((speaker, now) => speaker.enable(neighbor, now));
    done(request, "bgp-enable", {});
  },
  "bgp-announce": announce,
  "bgp-withdraw": withdraw,
  "bgp-reload": async (request, cx) => done(request, "bgp-reload", await cx.process.reload()),
  birdc,
  metrics: async (request, cx) => done(request, "metrics", await cx.process.metricsText()),
  stop: (request, cx) => {
    const how = read(StopShape, request);
    done(request, "stop", {});
    cx.stop(how, "asked to stop");
  },
};

/** Answers one request. What is wrong with it becomes its failure. */
export function answer(request: IncomingRequest, cx: VerbContext): void {
  const verb = Object.hasOwn(VERBS, request.verb) ? VERBS[request.verb as SpeakerVerb] : undefined;
  if (verb === undefined) {
    throw new PodloomError("PL_IPC_UNKNOWN_VERB", `a speaker does not answer \`${request.verb}\``, {
      remedy: `A speaker of this version answers ${Object.keys(VERBS).join(", ")}.`,
    });
  }
  const answered = verb(request, cx);
  answered?.catch((thrown: unknown) => request.fail(thrown));
}

/** Ends a request with what its verb answers. */
function done<V extends SpeakerVerb>(
  request: IncomingRequest,
  _verb: V,
  value: SpeakerVerbs[V]["value"],
): void {
  request.done(value);
}

function read<S extends z.ZodMiniType>(shape: S, request: IncomingRequest): z.output<S> {
  const args = shape.safeParse(request.args ?? {});
  if (args.success) return args.data;
  const faults = args.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message || issue.code}`);
  throw new PodloomError("PL_IPC_BAD_ARGS", `\`${request.verb}\` cannot be done with ${faults.join("; ")}`, {
    remedy: "Correct what is named; who asks must be the same version of podloom.",
  });
}

function announce(request: IncomingRequest, cx: VerbContext): void {
  const network = networkOf(read(AnnounceShape, request).network);
  const wrong = networkFault(network, cx.process.plan.address6 !== undefined);
  const prefix = formatRibPrefix(network.prefix);
  if (wrong !== undefined) {
    throw new PodloomError("PL_BGP_NETWORK", `${prefix}: ${wrong.message}`, { remedy: wrong.remedy });
  }
  cx.process.change((speaker, now) => speaker.originate(network, now));
  done(request, "bgp-announce", { prefix });
}

function withdraw(request: IncomingRequest, cx: VerbContext): void {
  const { prefix: text } = read(WithdrawShape, request);
  const prefix = parsePrefixArgument(text);
  if (!cx.process.change((speaker, now) => speaker.withdraw(prefix, now))) {
    throw new PodloomError("PL_BGP_NETWORK", `we announce no network ${text}`, {
      remedy: "`podloom get bgp routes` lists what there is; ours come from `local`.",
    });
  }
  done(request, "bgp-withdraw", {});
}

/** The words of birdc are loaded when somebody uses them. */
async function birdc(request: IncomingRequest, cx: VerbContext): Promise<void> {
  const { argv } = read(BirdcShape, request);
  const [{ runBirdc }, { BirdcAccess }] = await Promise.all([
    import("../../console/birdc/birdc-command.ts"),
    import("./birdc-access.ts"),
  ]);
  const exitCode = await streamText(request, runBirdc(argv, new BirdcAccess(cx.process)));
  done(request, "birdc", { exitCode: exitCode ?? 130 });
}
