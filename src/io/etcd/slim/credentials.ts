// User and password, exchanged for a token that goes with every call, and exchanged again when the server has forgotten it.
import type { EtcdEndpoints, StoreError } from "../etcd-transport.ts";
import type { Http2Connection } from "./http2-connection.ts";

/** A token, and where a server is known to have accepted it. */
export interface Token {
  readonly text: string;
  /** A server that was started anew has forgotten it; on another connection it has to prove itself again. */
  provenOn: Http2Connection | undefined;
}

type Login = (connection: Http2Connection, username: string, password: string) => Promise<string>;

export class Credentials {
  readonly #auth: EtcdEndpoints["auth"];
  readonly #login: Login;
  #token: Token | undefined;
  #asking: Promise<Token> | undefined;

  /** @param login asks a server for a token */
  constructor(auth: EtcdEndpoints["auth"], login: Login) {
    this.#auth = auth;
    this.#login = login;
  }

  /** The token to send, if one is needed; a promise when the server has to be asked. */
  get(connection: Http2Connection): Token | undefined | Promise<Token> {
    if (this.#auth === undefined || this.#token !== undefined) return this.#token;
    this.#asking ??= this.#ask(connection, this.#auth).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** The server does not know the token: the next call asks for another. */
  forget(token: Token): void {
    if (this.#token === token) this.#token = undefined;
  }

  async #ask(connection: Http2Connection, auth: NonNullable<EtcdEndpoints["auth"]>): Promise<Token> {
    const text = await this.#login(connection, auth.username, auth.password);
    this.#token = { text, provenOn: connection };
    return this.#token;
  }
}

/** Did the server refuse a call because of its token alone, and before it did anything? */
export function wantsNewToken(error: StoreError): boolean {
  return /invalid auth token|revision of auth store is old/.test(error.message);
}
