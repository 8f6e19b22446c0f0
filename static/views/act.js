/**
 * Ask for something, by a verb and what it is about. Whoever carries it out leaves the promise of its end in the event.
 * @param {Element} element  who asks
 * @param {string} verb
 * @param {Record<string, any>} [about]
 * @returns {Promise<void>}  rejected with a Problem
 */
export async function act(element, verb, about = {}) {
  const event = new CustomEvent(verb, { bubbles: true, detail: { about, done: Promise.resolve() } });
  element.dispatchEvent(event);
  await event.detail.done;
}

/**
 * Carry out verbs.
 * @param {EventTarget} root
 * @param {Record<string, (about: any) => void | Promise<void>>} actions
 */
export function carryOut(root, actions) {
  for (const [verb, action] of Object.entries(actions)) {
    root.addEventListener(verb, (event) => {
      const { detail } = /** @type {CustomEvent} */ (event);
      detail.done = (async () => action(detail.about))();
    });
  }
}
