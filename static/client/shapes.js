/**
 * What the protocol says of connections and channels, as docs/protocol.md has it. Types only.
 *
 * @typedef {{epoch: string, offset: number}} Position
 * @typedef {{offset?: number, data: any}} Publication
 * @typedef {Position & {recovered: boolean, was_recovering?: boolean, publications?: Publication[]}} Subscribed
 *
 * @typedef {object} ConnectionState
 * @property {"connecting" | "online" | "offline" | "closed"} name
 * @property {any} [user]  online: who one is
 * @property {string} [version]  online: the server's
 * @property {number} [retryAt]  offline: when it is tried again, in ms
 * @property {number} [code]  closed: the close code
 * @property {string} [reason]  closed: why
 *
 * @typedef {(method: string, data?: object, timeoutMs?: number) => Promise<any>} Call  one RPC; it rejects with a Problem
 */

export {};
