/** 128 random bits; crypto.randomUUID is only there over TLS and on loopback. */
export function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
