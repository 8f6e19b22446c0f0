/**
 * What the server tells, as docs/protocol.md has it. Types only.
 *
 * @typedef {{id: string, username: string, display_name: string, role?: string, kind?: string, disabled?: boolean}} User
 * @typedef {{user_id: string, username: string, display_name: string, role?: string}} Member
 *
 * @typedef {object} Room
 * @property {string} id
 * @property {string} name  empty for a direct room
 * @property {"public" | "private" | "direct"} kind
 * @property {string} topic
 * @property {string | null} archived_at
 * @property {number} last_message_seq
 * @property {string} [role]  a member's, like the next
 * @property {number} [last_read_seq]
 * @property {string} [other_id]  ours: the other person of a direct room
 *
 * @typedef {object} Message
 * @property {string} id
 * @property {string} room_id
 * @property {number} seq
 * @property {string} sender_id
 * @property {string | null} client_msg_id
 * @property {string} text
 * @property {{user_ids: string[], room: boolean}} mentions
 * @property {string} created_at
 * @property {string | null} edited_at
 * @property {string | null} deleted_at
 * @property {string | null} [reply_to]  the id of another message of the room
 *
 * @typedef {{items: Message[], next: number | null, previous: number | null}} MessagePage
 *
 * @typedef {object} Notification
 * @property {string} id
 * @property {string} title
 * @property {string} text
 * @property {number} priority  1 to 5
 * @property {string | null} click
 * @property {string | null} room_id
 * @property {string} created_at
 * @property {string | null} read_at
 *
 * @typedef {object} ChatEvent
 * @property {string} type
 * @property {string} room_id
 * @property {string} at
 * @property {string} by  a member event's: who did it
 * @property {Message} message
 * @property {Room} room
 * @property {Member} member
 * @property {{user_id: string, last_read_seq: number}} read
 * @property {Notification} notification
 *
 * @typedef {import("../client/shapes.js").Call} Call
 * @typedef {import("../client/shapes.js").ConnectionState} ConnectionState
 */

export {};
