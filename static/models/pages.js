const PAGE = 200;

/**
 * All items of a list that pages by `after`.
 * @param {import("./shapes.js").Call} call
 * @param {string} method
 * @param {object} data
 * @returns {Promise<any[]>}
 */
export async function allOf(call, method, data, after = null) {
  const { items, next } = await call(method, { ...data, limit: PAGE, after });
  return next === null ? items : [...items, ...(await allOf(call, method, data, next))];
}
