// The part of the command line that is about Calico's resources and addresses, in podloom's shape and in calicoctl's.
import type { Command } from "commander";
import { CALICO_KINDS, kindOfWord } from "../control/calico/resource-kinds.ts";
import type { CalicoKind } from "../control/calico/resources.ts";
import { PodloomError } from "../io/podloom-error.ts";
import type { Deed } from "./apply.ts";
import type { Run } from "./bgp-program.ts";
import { type CommandContext, readWhole } from "./command-context.ts";
import { RESOURCE_FORMATS, readResourceFormat } from "./output-format.ts";

const LAB_FLAG = "--lab <name>";
const LAB_TEXT = "which lab, when several run (or PODLOOM_LAB)";
const ETCD_FLAG = "--etcd <url>";
const ETCD_TEXT = "the store of another cluster: http://host:port[,…]";
const NAMESPACE_FLAG = "-n, --namespace <name>";
const NAMESPACE_TEXT = "the namespace of resources that have one";
const KINDS_TEXT = CALICO_KINDS.map((kind) => kind.toLowerCase()).join(", ");

/** Whose shape a command has. */
type Shape = "podloom" | "calicoctl";

interface StoreOptions {
  readonly lab?: string;
  readonly etcd?: string;
}

function whichStore({ lab, etcd }: StoreOptions): { lab: string | undefined; etcd: string | undefined } {
  return { lab, etcd };
}

function withStoreFlags(command: Command): Command {
  return command.option(ETCD_FLAG, ETCD_TEXT).option(LAB_FLAG, LAB_TEXT);
}

function fileFlag(shape: Shape): string {
  return shape === "podloom" ? "-f, --file <file>" : "-f, --filename <file>";
}

interface FileOptions extends StoreOptions {
  readonly file?: string;
  readonly filename?: string;
  readonly namespace: string;
  readonly skipExists?: boolean;
  readonly skipNotExists?: boolean;
}

/** `apply`, `delete` and `ipam` of podloom itself. */
export function addCalico(program: Command, cx: CommandContext, run: Run): void {
  addApply(program, "apply", "podloom", cx, run);
  addDelete(program, "podloom", cx, run);
  addIpam(program, "podloom", cx, run);
}

/** `podloom calicoctl …`. */
export function addCalicoctl(program: Command, cx: CommandContext, run: Run): void {
  const calicoctl = program
    .command("calicoctl")
    .description("the same in calicoctl's own words, and `node status` of one node")
    .enablePositionalOptions();
  for (const deed of ["create", "replace", "apply"] as const) addApply(calicoctl, deed, "calicoctl", cx, run);
  addDelete(calicoctl, "calicoctl", cx, run);
  addCalicoctlGet(calicoctl, cx, run);
  addIpam(calicoctl, "calicoctl", cx, run);
  addDatastore(calicoctl, cx, run);
  withStoreFlags(calicoctl.command("version").description("of this program and of the cluster")).action(
    (options: StoreOptions) =>
      run(
        import("./calicoctl-version.ts").then(({ calicoctlVersion }) =>
          calicoctlVersion(whichStore(options), cx),
        ),
      ),
  );
  calicoctl
    .command("node")
    .description("what a node's BGP says")
    .command("status")
    .description("the node's BGP sessions, as calicoctl shows them")
    .requiredOption("--node <name>", "which node")
    .option(LAB_FLAG, LAB_TEXT)
    .action(({ node, lab }: { node: string; lab?: string }) =>
      run(
        import("./exec.ts").then(({ exec }) =>
          exec(`node/${node}`, ["calicoctl", "node", "status"], { lab }, cx),
        ),
      ),
    );
}

const DEEDS: Readonly<Record<Deed, string>> = {
  apply: "create or replace Calico's resources from a file",
  create: "create Calico's resources from a file",
  replace: "replace Calico's resources from a file",
};

function addApply(to: Command, deed: Deed, shape: Shape, cx: CommandContext, run: Run): void {
  const command = to
    .command(deed)
    .description(`${DEEDS[deed]}: YAML or JSON, several documents`)
    .requiredOption(fileFlag(shape), "the file, - for standard input")
    .option(NAMESPACE_FLAG, NAMESPACE_TEXT, "default");
  if (deed === "create") command.option("--skip-exists", "what exists already is no fault");
  withStoreFlags(command).action((options: FileOptions) => {
    const flags = {
      ...whichStore(options),
      file: options.file ?? options.filename ?? "",
      namespace: options.namespace,
      skipExists: options.skipExists === true,
    };
    return run(import("./apply.ts").then(({ apply }) => apply(deed, flags, cx)));
  });
}

function addDelete(to: Command, shape: Shape, cx: CommandContext, run: Run): void {
  const command = to
    .command("delete")
    .description(
      "delete Calico's resources, of a file or by name: a pool is drained first, a node's addresses are released",
    )
    .argument("[kind]", KINDS_TEXT)
    .argument("[names...]")
    .option(fileFlag(shape), "the resources of this file, - for standard input")
    .option("-s, --skip-not-exists", "what does not exist is no fault")
    .option(NAMESPACE_FLAG, NAMESPACE_TEXT, "default");
  withStoreFlags(command).action((kind: string | undefined, names: string[], options: FileOptions) => {
    const flags = {
      ...whichStore(options),
      file: options.file ?? options.filename,
      kind,
      names,
      namespace: options.namespace,
      skipNotExists: options.skipNotExists === true,
    };
    return run(import("./delete.ts").then(({ deleteResources }) => deleteResources(flags, cx)));
  });
}

/** The flags that `get` has for Calico's kinds. */
export interface GetKindOptions extends StoreOptions {
  readonly output: string;
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly export?: boolean;
}

/** Adds them. */
export function addGetKindFlags(command: Command): Command {
  return command
    .option(NAMESPACE_FLAG, NAMESPACE_TEXT)
    .option("-A, --all-namespaces", "of all namespaces")
    .option("--export", "without what belongs to this store: uid, creation time, revision")
    .option(ETCD_FLAG, ETCD_TEXT);
}

/** `get` of one of Calico's kinds. Answers the exit code. */
export function getKind(
  kind: CalicoKind,
  names: readonly string[],
  options: GetKindOptions,
  cx: CommandContext,
): Promise<number> {
  const flags = {
    ...whichStore(options),
    names,
    format: readResourceFormat(options.output),
    namespace: options.namespace ?? "default",
    allNamespaces: options.allNamespaces === true,
    export: options.export === true,
  };
  return import("./get-resources.ts").then(({ getResources }) => getResources(kind, flags, cx));
}

function addCalicoctlGet(to: Command, cx: CommandContext, run: Run): void {
  const command = to
    .command("get")
    .description("show Calico's resources")
    .argument("<kind>", KINDS_TEXT)
    .argument("[names...]")
    .option("-o, --output <format>", RESOURCE_FORMATS.slice(1).join(", "), "ps");
  addGetKindFlags(command)
    .option(LAB_FLAG, LAB_TEXT)
    .action((word: string, names: string[], options: GetKindOptions) => {
      const kind = kindOfWord(word);
      if (!kind.ok) {
        const remedy = `It knows: ${KINDS_TEXT}.`;
        throw new PodloomError("PL_USAGE", kind.error, { remedy });
      }
      return run(getKind(kind.value, names, options, cx));
    });
}

function addDatastore(calicoctl: Command, cx: CommandContext, run: Run): void {
  const migrate = calicoctl
    .command("datastore")
    .description("close the datastore for a while, and open it again")
    .command("migrate")
    .description("what a migration begins and ends with");
  for (const deed of ["lock", "unlock"] as const) {
    const what = deed === "lock" ? "Felix and the CNI plugins wait until it is unlocked" : "all goes on";
    withStoreFlags(migrate.command(deed).description(what)).action((options: StoreOptions) =>
      run(
        import("./datastore-lock.ts").then(({ datastoreLock }) =>
          datastoreLock(deed === "lock", whichStore(options), cx),
        ),
      ),
    );
  }
}

function addIpam(to: Command, shape: Shape, cx: CommandContext, run: Run): void {
  const ipam = to.command("ipam").description("show, check and change what Calico knows of addresses");
  addIpamShow(ipam, cx, run);
  addIpamCheck(ipam, shape, cx, run);
  addIpamRelease(ipam, cx, run);
  withStoreFlags(
    ipam
      .command("configure")
      .description("change how addresses are given")
      .option("--strictaffinity <true|false>", "true: no address outside of a node's own blocks")
      .option("--max-blocks-per-host <n>", "so many blocks at most; needs strict affinity; 0: Calico's 20"),
  ).action((options: StoreOptions & { strictaffinity?: string; maxBlocksPerHost?: string }) => {
    const { strictaffinity: strictAffinity, maxBlocksPerHost: max } = options;
    const maxBlocksPerHost =
      max === undefined ? undefined : readWhole("--max-blocks-per-host", max, 0, 1_000_000);
    const flags = { ...whichStore(options), strictAffinity, maxBlocksPerHost };
    return run(import("./ipam.ts").then(async ({ ipamConfigure }) => ipamConfigure(flags, cx)));
  });
}

function addIpamRelease(ipam: Command, cx: CommandContext, run: Run): void {
  const release = ipam
    .command("release")
    .description("release an address, whoever has it, or what reports call leaked")
    .option("--ip <address>", "the address")
    .option(
      "--from-report <file>",
      "what this report of `ipam check` calls leaked; of several, what all do",
      (file: string, before: readonly string[]) => [...before, file],
      [],
    )
    .option("--force", "with a report: also while the datastore is not locked");
  withStoreFlags(release).action(
    (options: StoreOptions & { ip?: string; fromReport: readonly string[]; force?: boolean }) => {
      const flags = {
        ...whichStore(options),
        ip: options.ip,
        reports: options.fromReport,
        force: options.force === true,
      };
      return run(import("./ipam-release.ts").then(async ({ ipamRelease }) => ipamRelease(flags, cx)));
    },
  );
}

function addIpamShow(ipam: Command, cx: CommandContext, run: Run): void {
  const show = ipam
    .command("show")
    .description("how full the pools are; with --ip whose an address is")
    .option("--ip <address>", "only this address")
    .option("--show-blocks", "each pool's blocks, too")
    .option("--show-borrowed", "addresses that a node has of another's block")
    .option("--show-configuration", "how addresses are given");
  withStoreFlags(show).action(
    (
      options: StoreOptions & {
        ip?: string;
        showBlocks?: boolean;
        showBorrowed?: boolean;
        showConfiguration?: boolean;
      },
    ) => {
      const flags = {
        ...whichStore(options),
        ip: options.ip,
        blocks: options.showBlocks === true,
        borrowed: options.showBorrowed === true,
        configuration: options.showConfiguration === true,
      };
      return run(import("./ipam.ts").then(async ({ ipamShow }) => ipamShow(flags, cx)));
    },
  );
}

function addIpamCheck(ipam: Command, shape: Shape, cx: CommandContext, run: Run): void {
  const check = ipam
    .command("check")
    .description(
      shape === "podloom"
        ? "compare addresses given with addresses in use; exit code 1 when they do not agree"
        : "compare addresses given with addresses in use",
    )
    .option("--show-all-ips", "every address")
    .option("--show-problem-ips", "every address that something is wrong with")
    .option("-o, --output <file>", "write a report, as JSON");
  withStoreFlags(check).action(
    (options: StoreOptions & { showAllIps?: boolean; showProblemIps?: boolean; output?: string }) => {
      const flags = {
        ...whichStore(options),
        showAllIps: options.showAllIps === true,
        showProblemIps: options.showProblemIps === true,
        report: options.output,
        strict: shape === "podloom",
      };
      return run(import("./ipam.ts").then(({ ipamCheck }) => ipamCheck(flags, cx)));
    },
  );
}
