import { isMine } from "../models/room.js";
import { one, say, sayOrHide } from "./element.js";
import { presenceWords } from "./time.js";
import { watchPresence } from "./typing.js";
import { t, wordsOf } from "./words.js";

/** The room that is open: what it is, who is there, and whether one may write in it. @param {import("../models/chat.js").Chat} chat */
export function showRoom(chat) {
  const show = () => {
    const { open } = chat;
    const room = open?.room;
    const isIn = Boolean(room && isMine(room));
    one("#chat").classList.toggle("in-room", open !== null);
    one("#room").hidden = open === null;
    one("#nothing-open").hidden = open !== null;
    say(one("#room-name"), room ? chat.nameOf(room) : "…");
    say(one("#room-topic"), room ? (room.archived_at ? t("room.archived") : room.topic || t(`room.${room.kind}`)) : "");
    one("#room").dataset.kind = room?.kind ?? "";
    sayOrHide(one("#room-problem"), open?.problem ? wordsOf(open.problem) : "");
    one("#joining").hidden = !room || isIn || room.archived_at !== null;
    one("#log").hidden = room ? !isIn : Boolean(open?.problem); // before it is known, where messages will stand
    one("#show-about").hidden = !isIn;
    one("#foot").hidden = !isIn || room?.archived_at !== null;
  };
  const showPresence = () => {
    const { open } = chat;
    const place = one("#room-presence");
    const seen = open?.room?.kind === "direct" ? open.presence?.of(open.room.other_id) : null;
    place.dataset.status = seen?.status ?? (open?.presence?.online ? "online" : "offline");
    const count = open?.presence?.online ?? 0;
    sayOrHide(place, seen ? presenceWords(seen) : count && open?.room?.kind !== "direct" ? t("room.online", { count }) : "");
  };
  watchPresence(chat, showPresence);
  chat.addEventListener("open", () => {
    chat.open?.addEventListener("change", show);
    show();
  });
  chat.rooms.addEventListener("change", show);
  chat.people.addEventListener("change", show);
}
