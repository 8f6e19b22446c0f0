import { problemOf, unreachable } from "./problem.js";

const TIMEOUT_MS = 15_000;

/**
 * One request and its JSON. Throws a Problem.
 * @param {string} method
 * @param {string} path
 * @param {{token?: string, json?: object, form?: Record<string, string>}} [what]
 * @returns {Promise<any>}
 */
export async function request(method, path, { token, json, form } = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (json) headers["Content-Type"] = "application/json";
  const body = json ? JSON.stringify(json) : form && new URLSearchParams(form);
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  let response, answer;
  try {
    response = await fetch(path, { method, headers, body, signal });
    answer = await response.text();
  } catch {
    throw unreachable();
  }
  const found = parsed(answer);
  if (!response.ok) throw problemOf(response.status, found);
  return found;
}

/** @param {string} text  empty, or a proxy's own page, is null */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
