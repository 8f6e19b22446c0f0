import { Client } from "../client/client.js";
import { Stream } from "../client/stream.js";
import { Attention } from "./attention.js";
import { Directory } from "./directory.js";
import { Drafts } from "./drafts.js";
import { Errand } from "./errand.js";
import { Inbox } from "./inbox.js";
import { mend } from "./mending.js";
import { OpenRoom } from "./open-room.js";
import { Outbox } from "./outbox.js";
import { People } from "./people.js";
import { Reader } from "./reader.js";
import { Rooms } from "./rooms.js";

/** @typedef {import("./shapes.js").Room} Room */

/**
 * Everything that one person sees and does, without a page. Tells `open` when another room, or none, is on screen, and
 * `news` (detail: a notification) and `posted` (detail: `{message}`) when there is something new, in every tab.
 */
export class Chat extends EventTarget {
  /** @type {import("./shapes.js").User | null} */ me = null; // known with the first connection, or from the last visit
  /** @type {OpenRoom | null} */ open = null;
  isIn = false;
  mending = new Errand(() => mend(this));

  /** @param {import("./session.js").Session} session @param {import("./keep.js").Keep} keep */
  constructor(session, keep) {
    super();
    this.session = session;
    this.keep = keep;
    this.connection = new Client({ renewal: () => session.token(), rooms: true });
    const { call } = this.connection;
    this.people = new People((id) => session.ask("GET", `/api/v1/users/${encodeURIComponent(id)}`));
    this.rooms = new Rooms(call);
    this.outbox = new Outbox(call, keep);
    this.drafts = new Drafts(keep);
    this.reader = new Reader(call);
    this.inbox = new Inbox(call);
    this.directory = new Directory(call);
    this.stream = new Stream({ channels: ["user:me"] });
    this.attention = new Attention(this);
  }

  /** Somebody is logged in. */
  start() {
    this.isIn = true;
    this.connection.open();
    this.attention.follow();
  }

  /** The login is over. What was loaded and what was written stays, in case that the same person comes back. */
  stop() {
    this.isIn = false;
    this.connection.close();
    this.attention.follow();
  }

  /** Nobody can see the page, and perhaps never will again: `start` goes on. */
  rest() {
    this.connection.close();
    this.stream.close();
  }

  /** Do not wait for the next try. */
  wake() {
    if (this.connection.state.name === "offline") this.connection.open();
  }

  nameOf(/** @type {Room} */ room) {
    return room.kind === "direct" ? this.people.nameOf(room.other_id) : room.name;
  }

  /** @param {string | null} roomId @param {number | null} [around] */
  show(roomId, around) {
    this.open?.close();
    this.open = roomId ? new OpenRoom(this, roomId, around) : null;
    this.open?.timeline.addEventListener("change", () => this.attention.look());
    this.dispatchEvent(new Event("open"));
    this.mending.run();
  }
}
