// BIRD 2 as the other end of a session: a real daemon in the foreground, on loopback addresses of this machine. It reads the
// interfaces and touches nothing: there is no kernel protocol. It is ended with this process, however that ends.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type BirdProtocol, type BirdRoute, parseBirdProtocol, parseBirdRoutes } from "./bird-text.ts";

const run = promisify(execFile);
/** How long birdc may take: a daemon that is stopped answers never. */
const ANSWER_MS = 20_000;

/**
 * What every configuration begins with. The device scan is more than a scan: a 2.0.12 that has something to do may sleep until its
 * next timer (an event race, mended in 2.14), so a timer each second bounds what it can lose. Next hops are looked up in a table
 * of their own, `underlay`.
 */
function preamble(routerId: string): string {
  return `log stderr all;
router id ${routerId};
ipv4 table underlay;
ipv6 table underlay6;
protocol device { scan time 1; }
protocol static ways { ipv4 { table underlay; }; route 10.0.0.0/8 via "lo"; }
protocol static ways6 { ipv6 { table underlay6; }; route fd00::/8 via "lo"; }
template bgp quick {
  strict bind yes; multihop; connect delay time 1; connect retry time 1; startup hold time 10; error wait time 1,2; error forget time 1;
}
`;
}

export interface BirdRestart {
  readonly recovering?: boolean;
  readonly config?: string;
}

/** One daemon. */
export class Bird {
  readonly routerId: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "podloom-bird-"));
  #child: ChildProcess | undefined;
  #log = "";

  /**
   * Starts one, and waits until it answers.
   *
   * @param config what follows the {@link preamble}
   */
  static async start(routerId: string, config: string): Promise<Bird> {
    const bird = new Bird(routerId);
    bird.#write(config);
    try {
      await bird.restart();
    } catch (thrown) {
      await bird.close();
      throw thrown;
    }
    return bird;
  }

  private constructor(routerId: string) {
    this.routerId = routerId;
  }

  /** What it has said since the first start. */
  get log(): string {
    return this.#log;
  }

  /**
   * Starts it again after a {@link kill}.
   *
   * @param how.recovering with -R: it asks for graceful restart, as if its routes had been kept in forwarding meanwhile
   * @param how.config another configuration
   */
  async restart({ recovering = false, config: text }: BirdRestart = {}): Promise<void> {
    if (text !== undefined) this.#write(text);
    const [config, ctl, pid] = ["bird.conf", "ctl", "pid"].map((name) => join(this.#folder, name));
    rmSync(ctl as string, { force: true });
    // So that nothing is left of it when this process is killed.
    const args = ["--pdeathsig", "KILL", "bird", "-f", "-c", config, "-s", ctl, "-P", pid] as string[];
    const child = spawn("setpriv", recovering ? [...args, "-R"] : args, {
      stdio: ["ignore", "ignore", "pipe"],
    });
    child.stderr?.on("data", (text) => {
      this.#log += String(text);
    });
    this.#child = child;
    for (const deadline = performance.now() + ANSWER_MS; ; ) {
      if (child.exitCode !== null) throw new Error(`BIRD has ended: ${this.#log}`);
      try {
        await this.ask("show status");
        return;
      } catch (thrown) {
        if (performance.now() > deadline) throw thrown;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  /** Puts another configuration into force. @param command "configure soft" leaves the routes to later reloads */
  async configure(config: string, command = "configure"): Promise<void> {
    this.#write(config);
    await this.ask(command);
  }

  /** What birdc answers. Rejects when it reports an error. */
  async ask(command: string): Promise<string> {
    const { stdout } = await run("birdc", ["-s", join(this.#folder, "ctl"), ...command.split(" ")], {
      timeout: ANSWER_MS,
      maxBuffer: 256 * 1024 * 1024,
    });
    return stdout;
  }

  async protocol(name: string): Promise<BirdProtocol> {
    return parseBirdProtocol(await this.ask(`show protocols all ${name}`));
  }

  /** Its routes with their attributes. @param which "table t2", "protocol ours", "10.1.0.0/24" … */
  async routes(which = ""): Promise<BirdRoute[]> {
    return parseBirdRoutes(await this.ask(`show route ${which === "" ? "" : `${which} `}all`));
  }

  /** The routes of a table by prefix; where there are several paths, the chosen one. */
  async table(which = ""): Promise<ReadonlyMap<string, BirdRoute>> {
    const routes = await this.routes(which);
    return new Map(routes.filter((route) => route.best).map((route) => [route.prefix, route]));
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  /** SIGSTOP: its sockets stay open, and nobody answers. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Ends it and removes its files. */
  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #write(config: string): void {
    writeFileSync(join(this.#folder, "bird.conf"), preamble(this.routerId) + config);
  }
}
