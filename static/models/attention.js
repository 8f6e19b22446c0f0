const LONG_MS = 60_000; // away for so long, the line may be gone without a word

/** Whether somebody is looking. What is on screen then counts as read; while nobody can see the page, the notifications' stream rests. */
export class Attention {
  isPaid = true;
  #isVisible = true;
  #seen = 0; // the newest message on screen
  #leftAt = 0;
  #chat;

  /** @param {import("./chat.js").Chat} chat */
  constructor(chat) {
    this.#chat = chat;
    chat.inbox.addEventListener("change", () => this.look());
    chat.addEventListener("open", () => (this.#seen = 0));
  }

  /** @param {boolean} isPaid  somebody looks here @param {boolean} isVisible  they may be looking elsewhere beside it */
  turn(isPaid, isVisible) {
    if (isPaid && !this.isPaid) this.#comeBack();
    if (!isPaid && this.isPaid) this.#leftAt = Date.now();
    this.isPaid = isPaid;
    this.#isVisible = isVisible;
    this.follow();
    this.look();
  }

  /** A browser gives a site six connections over HTTP/1.1, all tabs together: a seventh stream would block the rest. */
  follow() {
    if (this.#isVisible && this.#chat.isIn) this.#chat.stream.open();
    else this.#chat.stream.close();
  }

  /** @param {number} seq  of the newest message on screen */
  see(seq) {
    this.#seen = Math.max(this.#seen, seq);
    this.look();
  }

  look() {
    const { open, rooms, inbox, reader } = this.#chat;
    const room = open && rooms.get(open.id);
    if (!open?.hasCome || !room || !this.isPaid) return;
    inbox.see(room.id);
    if (this.#seen <= (room.last_read_seq ?? 0)) return;
    rooms.wasRead(room.id, this.#seen);
    reader.mark(room.id, this.#seen);
  }

  #comeBack() {
    const { open, connection } = this.#chat;
    open?.comeBack();
    this.#chat.wake();
    if (Date.now() - this.#leftAt > LONG_MS) void connection.probe();
  }
}
