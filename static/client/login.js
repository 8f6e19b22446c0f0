import { request } from "./http.js";
import { addressOf } from "./place.js";
import { Token } from "./token.js";

/** A login by password, for pages without a back end that makes tokens: `new Client({token: () => login.token()})`. */
export class Login {
  #refreshToken = "";
  #token = new Token(() => this.#renewed(), () => {});
  #server;

  /** @param {string} [server] */
  constructor(server) {
    this.#server = server;
  }

  /** @param {string} username @param {string} password */
  async begin(username, password) {
    this.#hold(await request("POST", addressOf("/token", this.#server), { form: { username, password } }));
  }

  /** An access token that is good for a while. */
  token() {
    return this.#token.fresh();
  }

  async end() {
    await request("POST", addressOf("/api/v1/auth/logout", this.#server), { token: await this.token() });
    this.#token.drop();
  }

  async #renewed() {
    const json = { refresh_token: this.#refreshToken };
    const tokens = await request("POST", addressOf("/refresh", this.#server), { json });
    this.#refreshToken = tokens.refresh_token;
    return tokens;
  }

  #hold(/** @type {any} */ tokens) {
    this.#refreshToken = tokens.refresh_token;
    this.#token.hold(tokens);
  }
}
