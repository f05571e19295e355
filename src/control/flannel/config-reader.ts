// Reads the network configuration from the store. Read specs on flannel §0 (step 3) and §1.4 (step 1) first.
import { type Instant, NEVER, SEC_US } from "../../base/time.ts";
import { decodeUtf8 } from "../../base/utf8.ts";
import type { KeyValue, StoreErrorCode, StoreEvent, StoreOp } from "../datastore/messages.ts";
import { type OpIds, PendingOps } from "../datastore/pending-ops.ts";
import { type LogOutput, logOutput } from "../log.ts";
import { CONFIG_NOT_FOUND, type NetConf, parseNetConf } from "./net-conf.ts";
import { emitConfigKey } from "./subnet-key.ts";

export type ConfigReaderOutput =
  | { readonly t: "op"; readonly op: StoreOp }
  | { readonly t: "config"; readonly config: NetConf }
  /** There is a configuration, and it is refused; or the store refuses to show it; or, when acquiring, there is none. */
  | { readonly t: "refused"; readonly message: string }
  | LogOutput;

/** flanneld's pause between attempts. */
const RETRY_US = SEC_US;

export class ConfigReader {
  readonly #key: string;
  readonly #strict: boolean;
  readonly #ops: PendingOps<"config">;
  readonly #outputs: ConfigReaderOutput[] = [];
  /** Wait for a configuration that does not exist yet? */
  #patient = true;
  #retryAt: Instant = NEVER;
  #complaint = "";

  /** @param options.strict flanneld asks again for ever even when what it reads is no good */
  constructor(options: { readonly prefix: string; readonly strict: boolean; readonly ids: OpIds }) {
    this.#key = emitConfigKey(options.prefix);
    this.#strict = options.strict;
    this.#ops = new PendingOps(options.ids);
  }

  /** Reads until there is an answer. @param patient a missing configuration is waited for, as at a daemon's start */
  read(patient: boolean, now: Instant): void {
    this.#ops.clear();
    this.#patient = patient;
    this.#ask(now);
  }

  stop(): void {
    this.#ops.clear();
    this.#retryAt = NEVER;
  }

  /** Takes an event of the store. Answers false when it is somebody else's. */
  handle(event: StoreEvent, now: Instant): boolean {
    if (event.t !== "rangeDone" && event.t !== "opFailed") return false;
    if (this.#ops.settle(event.id) === undefined) return false;
    if (event.t === "rangeDone") this.#onValue(event.kvs[0], now);
    else this.#onFailed(event.code, event.message, now);
    return true;
  }

  tick(now: Instant): void {
    if (this.#ops.expire(now) !== undefined) this.#onFailed("timeout", "timed out", now);
    if (now >= this.#retryAt) this.#ask(now);
  }

  poll(): ConfigReaderOutput | undefined {
    return this.#outputs.shift();
  }

  nextDeadline(): Instant {
    return Math.min(this.#retryAt, this.#ops.nextDeadline());
  }

  #ask(now: Instant): void {
    this.#retryAt = NEVER;
    const id = this.#ops.issue("config", now);
    this.#outputs.push({ t: "op", op: { t: "range", id, range: { key: this.#key, rangeEnd: undefined } } });
  }

  #onValue(kv: KeyValue | undefined, now: Instant): void {
    if (kv === undefined) {
      if (this.#patient) this.#again(CONFIG_NOT_FOUND, now);
      else this.#outputs.push({ t: "refused", message: CONFIG_NOT_FOUND });
      return;
    }
    const text = decodeUtf8(kv.value);
    const config = text === undefined ? undefined : parseNetConf(text);
    if (config?.ok === true) {
      this.#complaint = "";
      this.#outputs.push({ t: "config", config: config.value });
      return;
    }
    const message = config === undefined ? `the value of ${this.#key} is not UTF-8 text` : config.error;
    if (this.#strict && this.#patient) this.#again(message, now);
    else this.#outputs.push({ t: "refused", message });
  }

  #onFailed(code: StoreErrorCode, message: string, now: Instant): void {
    const hopeless = code === "denied" || code === "unimplemented" || code === "invalid";
    if (hopeless && !this.#strict)
      this.#outputs.push({ t: "refused", message: `the store refuses: ${message}` });
    else this.#again(message, now);
  }

  /** A complaint that is repeated every second is for debugging only. */
  #again(message: string, now: Instant): void {
    const level = message === this.#complaint ? "debug" : "error";
    this.#complaint = message;
    this.#outputs.push(logOutput(level, `Couldn't fetch network config: ${message}`));
    this.#retryAt = now + RETRY_US;
  }
}
