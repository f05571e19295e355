// A connection to whichever of several etcds answers: opened when it is needed, again when it is lost, with full jitter between.
import { MS_US } from "../../../base/time.ts";
import { Backoff } from "../../../control/datastore/backoff.ts";
import { JitterRng, UptimeClock } from "../../plain-clock.ts";
import { messageOf } from "../../podloom-error.ts";
import type { EtcdEndpoints } from "../etcd-transport.ts";
import { Http2Connection } from "./http2-connection.ts";

/** How long one endpoint is waited for before the next is tried beside it. */
const NEXT_AFTER_MS = 700;
/** Ceilings of the first wait and of any wait after an attempt in which no endpoint answered. */
const BACKOFF_FIRST_US = 200 * MS_US;
const BACKOFF_CAP_US = 2_000 * MS_US;

export class Channel {
  readonly #endpoints: string[];
  readonly #tls: EtcdEndpoints["tls"];
  readonly #clock = new UptimeClock();
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  readonly #open = new Set<Http2Connection>();
  #current: Http2Connection | undefined;
  #attempt: Promise<Http2Connection> | undefined;
  /** Not before; after a failed attempt. */
  #nextAt = 0;

  constructor({ endpoints, tls }: EtcdEndpoints) {
    const rng = new JitterRng();
    this.#tls = tls;
    this.#backoff = new Backoff(rng, BACKOFF_FIRST_US, BACKOFF_CAP_US);
    // In another order for every client, so that they spread.
    this.#endpoints = endpoints
      .map((endpoint) => ({ endpoint, at: rng.u32() }))
      .sort((a, b) => a.at - b.at)
      .map(({ endpoint }) => endpoint);
  }

  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Is there another endpoint to go to? */
  get several(): boolean {
    return this.#endpoints.length > 1;
  }

  /** The connection that stands; undefined when {@link connect} has to make one. */
  get ready(): Http2Connection | undefined {
    return this.#current;
  }

  /**
   * The connection that stands, or the outcome of the next attempt, which is the same for all that wait: a call that is made
   * between two attempts waits for the second, at most 2 s.
   *
   * @throws Error when no endpoint answers
   */
  connect(): Promise<Http2Connection> {
    if (this.#current !== undefined) return Promise.resolve(this.#current);
    this.#attempt ??= this.#try().finally(() => {
      this.#attempt = undefined;
    });
    return this.#attempt;
  }

  /** This server says that it can do nothing: later calls begin with another one, if there is another. */
  leave(connection: Http2Connection): void {
    if (this.several) connection.retire("this server has no leader");
  }

  /** Ends everything. */
  close(): void {
    this.#closing.abort();
    for (const connection of [...this.#open]) connection.destroy("the etcd client is closed");
  }

  async #try(): Promise<Http2Connection> {
    const waitUs = this.#nextAt - this.#clock.now();
    if (waitUs > 0) await this.#pause(waitUs / 1000);
    try {
      const connection = await this.#race();
      this.#backoff.reset();
      this.#adopt(connection);
      return connection;
    } catch (thrown) {
      this.#nextAt = this.#backoff.next(this.#clock.now());
      throw thrown;
    }
  }

  #adopt(connection: Http2Connection): void {
    this.#current = connection;
    connection.onRetired = () => {
      if (this.#current === connection) this.#current = undefined;
      // The one that failed is tried last.
      const at = this.#endpoints.indexOf(connection.endpoint);
      this.#endpoints.push(...this.#endpoints.splice(at, 1));
    };
    connection.onGone = () => this.#open.delete(connection);
    this.#open.add(connection);
    if (connection.usable) return;
    // It was lost between its first word and now.
    connection.onRetired();
    if (connection.lost) this.#open.delete(connection);
  }

  /** The endpoints one after the other, the next when one has failed or is slow. The first that answers wins. */
  #race(): Promise<Http2Connection> {
    return new Promise((resolve, reject) => {
      const losing = new AbortController();
      const waiting = [...this.#endpoints];
      let running = 0;
      let timer: NodeJS.Timeout | undefined;
      const done = (): void => {
        clearTimeout(timer);
        this.#closing.signal.removeEventListener("abort", abort);
        losing.abort();
      };
      const abort = (): void => {
        done();
        reject(new Error("the etcd client is closed"));
      };
      const next = (): void => {
        clearTimeout(timer);
        const endpoint = waiting.shift();
        if (endpoint === undefined) return;
        running++;
        timer = setTimeout(next, NEXT_AFTER_MS);
        Http2Connection.open(endpoint, this.#tls, losing.signal).then(
          (connection) => {
            if (losing.signal.aborted) {
              connection.destroy("another server was faster");
              return;
            }
            done();
            resolve(connection);
          },
          (thrown: unknown) => {
            running--;
            if (losing.signal.aborted) return;
            if (waiting.length > 0) next();
            else if (running === 0) {
              done();
              reject(thrown instanceof Error ? thrown : new Error(messageOf(thrown)));
            }
          },
        );
      };
      this.#closing.signal.addEventListener("abort", abort);
      next();
    });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const { signal } = this.#closing;
      const abort = (): void => {
        clearTimeout(timer);
        reject(new Error("the etcd client is closed"));
      };
      const timer = setTimeout(() => {
        signal.removeEventListener("abort", abort);
        resolve();
      }, ms);
      signal.addEventListener("abort", abort);
    });
  }
}
