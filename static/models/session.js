import { request } from "../client/http.js";
import { asProblem } from "../client/problem.js";
import { Token } from "../client/token.js";

/** The login, which an HttpOnly cookie holds. Tells `ended` (detail: whether that was wished for) when it is over. */
export class Session extends EventTarget {
  #token = new Token(() => request("POST", "/refresh"), () => this.end());
  #isWished = false; // its end

  /** Go on with the cookie's login; false when there is none. */
  async resume() {
    try {
      await this.#token.renew();
    } catch (error) {
      if (asProblem(error).isLogin) return false;
      throw error;
    }
    return true;
  }

  /** @param {{username: string, password: string}} who */
  async logIn({ username, password }) {
    const tokens = await request("POST", "/token", { form: { username, password } });
    await request("POST", "/api/v1/auth/cookie", { token: tokens.access_token });
    this.#token.hold(tokens); // its refresh token is forgotten: the cookie renews
  }

  /** @param {{username: string, password: string, display_name?: string, invite?: string}} who */
  async register(who) {
    await request("POST", "/api/v1/auth/register", { json: who });
    await this.logIn(who);
  }

  /** @param {{username: string, password: string, display_name?: string, code: string}} owner */
  async setUp(owner) {
    await request("POST", "/api/v1/auth/setup", { json: owner });
    await this.logIn(owner);
  }

  async logOut() {
    this.#isWished = true;
    try {
      await this.ask("POST", "/api/v1/auth/logout");
    } catch (error) {
      this.#isWished = asProblem(error).isLogin; // no login is what was wanted
      if (!this.#isWished) throw error;
    }
    this.end();
  }

  /**
   * An HTTP request with the access token.
   * @param {string} method
   * @param {string} path
   * @param {object} [json]
   * @returns {Promise<any>}
   */
  async ask(method, path, json) {
    return request(method, path, { token: await this.token(), json });
  }

  token() {
    return this.#token.fresh();
  }

  /** It is over: wished for, or found out. */
  end() {
    if (!this.#token.isHeld) return;
    this.#token.drop();
    this.dispatchEvent(new CustomEvent("ended", { detail: this.#isWished }));
  }
}
