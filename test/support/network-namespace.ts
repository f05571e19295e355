import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from "node:child_process";

// Linux network namespaces that a test makes for itself, always removed. Needs root and iproute2.

/** Why namespaces cannot be made here, or undefined when they can. */
export function namespacesUnavailable(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  try {
    const probe = `pl-probe-${process.pid}`;
    execFileSync("ip", ["netns", "add", probe], { stdio: "pipe" });
    execFileSync("ip", ["netns", "del", probe], { stdio: "pipe" });
    return undefined;
  } catch (error) {
    return `ip netns does not work: ${String(error).split("\n")[0]}`;
  }
}

/** A set of namespaces, named after the test process so that two runs do not meet. */
export class Namespaces {
  readonly #names: string[] = [];
  readonly #children: ChildProcess[] = [];

  /** Makes a namespace with its loopback up; returns its full name. */
  add(short: string): string {
    const name = `pl-${process.pid}-${short}`;
    this.run("ip", "netns", "add", name);
    this.#names.push(name);
    this.exec(name, "ip link set lo up");
    return name;
  }

  /** Runs a command on the machine itself. */
  run(command: string, ...args: string[]): string {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  }

  /** Runs a command line (split at blanks) in a namespace; answers its standard output, throws when it fails. */
  exec(name: string, line: string): string {
    return this.run("ip", "netns", "exec", name, ...line.split(" "));
  }

  /** Like exec, but answers the output whatever the exit code. */
  attempt(name: string, line: string): { output: string; code: number } {
    try {
      return { output: this.exec(name, line), code: 0 };
    } catch (error) {
      const failed = error as { stdout?: string; stderr?: string; status?: number };
      return { output: `${failed.stdout ?? ""}${failed.stderr ?? ""}`, code: failed.status ?? -1 };
    }
  }

  /** Starts a child in a namespace; it is ended with the set. */
  spawn(name: string, command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const child = spawn("ip", ["netns", "exec", name, command, ...args], options);
    this.#children.push(child);
    return child;
  }

  /** Joins two namespaces by a veth pair, both ends up with their addresses (`a.b.c.d/len`). */
  link(a: string, aDev: string, aCidr: string, b: string, bDev: string, bCidr: string): void {
    this.run("ip", "link", "add", aDev, "netns", a, "type", "veth", "peer", "name", bDev, "netns", b);
    this.exec(a, `ip addr add ${aCidr} dev ${aDev}`);
    this.exec(b, `ip addr add ${bCidr} dev ${bDev}`);
    this.exec(a, `ip link set ${aDev} up`);
    this.exec(b, `ip link set ${bDev} up`);
  }

  /** Ends the children, waits for them, removes the namespaces. */
  async close(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    }
    for (const name of this.#names) this.run("ip", "netns", "del", name);
  }
}
