/** Whether anybody is looking, and what the browser knows of the network. @param {import("../models/chat.js").Chat} chat */
export function listenToPresence(chat) {
  const look = () => {
    const isVisible = document.visibilityState === "visible";
    chat.attention.turn(isVisible && document.hasFocus(), isVisible);
  };
  document.addEventListener("visibilitychange", look);
  for (const kind of ["focus", "blur"]) addEventListener(kind, look);
  addEventListener("offline", () => chat.connection.drop());
  addEventListener("online", () => chat.wake());
  // A browser keeps a page that was left, and its socket with it: it would be online until a ping is missed.
  addEventListener("pagehide", () => chat.rest());
  addEventListener("pageshow", ({ persisted }) => persisted && chat.isIn && chat.start());
  look();
}
