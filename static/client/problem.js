/** @typedef {{field: string, message: string}} RefusedField */

/** What went wrong. `code` is stable, `temporary` says that the same request may succeed later. */
export class Problem extends Error {
  /** @param {{code: string, message: string, status?: number, temporary?: boolean, fields?: RefusedField[]}} told */
  constructor({ code, message, status = 0, temporary = false, fields = [] }) {
    super(message);
    this.code = code;
    this.status = status;
    this.temporary = temporary;
    this.fields = fields;
  }

  /** For people: what exactly was refused, if that is known. */
  get words() {
    return this.fields.map(({ message }) => message).join(" ") || this.message;
  }

  /** Whether a login is what is missing. */
  get isLogin() {
    return this.status === 401;
  }
}

/** @param {unknown} error  anything thrown: what is no Problem is a fault of the page, and goes on */
export function asProblem(error) {
  if (error instanceof Problem) return error;
  throw error;
}

export function unreachable() {
  return new Problem({ code: "unreachable", message: "The server cannot be reached.", temporary: true });
}

/**
 * An HTTP answer's problem+json.
 * @param {number} status
 * @param {any} body
 */
export function problemOf(status, body) {
  return new Problem({
    code: body?.code ?? "error",
    message: body?.detail ?? `The server answered ${status}.`,
    status,
    temporary: status === 429 || status >= 500,
    fields: body?.errors ?? [],
  });
}

const LOGIN_CODES = [101, 109]; // of the protocol: none or no good, expired

/** @param {any} error  the error of a WebSocket reply */
export function problemIn(error) {
  return new Problem({
    code: error.reason ?? String(error.code),
    message: error.message,
    status: LOGIN_CODES.includes(error.code) ? 401 : error.code,
    temporary: Boolean(error.temporary) || error.code === 111, // too fast: later
    fields: error.errors ?? [],
  });
}
