"""Everything that can go wrong for a client, as data: the edges translate it, nobody else words it.

ChatError
|-- BadJson, Invalid, TooLarge, MethodNotAllowed, UnsupportedMedia, HostNotAllowed   what came cannot be read
|-- AnswerTooLarge                                             what was asked for does not fit
|-- Crashed                                                    our fault
|-- Unauthorized                                               who are you?
|   |-- TokenInvalid, TokenExpired, TicketUsed, SessionRevoked, BadCredentials, ScopeNotGranted
|-- Forbidden                                                  you may not
|   |-- ScopeMissing, OriginNotAllowed, InviteNeeded, RegistrationClosed, NotAMember, RoleTooLow, ChannelNotAllowed
|-- NotFound                                                   it is not there, or you may not know that it is
|   |-- RoomNotFound, UserNotFound, MessageNotFound, NotificationNotFound, SessionNotFound, TopicNotFound, KeyNotFound
|-- Conflict                                                   not now, as things stand
|   |-- UsernameTaken, ClientMsgIdReused, RoomArchived, DirectRoomFixed, AlreadySetUp, LastOwner, MessageDeleted
|-- IdempotencyKeyReused, TooManyRequests
|-- Unavailable                                                try again
|   |-- StoreUnavailable, QueryTooSlow, BrokerUnavailable, Draining
|-- ProtocolError                                              the realtime protocol's own codes 100-113
    |-- Unauthenticated, UnknownChannel, PermissionDenied, MethodNotFound, AlreadySubscribed, LimitExceeded,
        BadRequest, NotAvailable, TokenHasExpired, CommandsTooFast, UnrecoverablePosition

Each class carries `code` (stable, for machines), `status` (HTTP), `protocol` (the code of a WebSocket reply; the HTTP
status where None, as the protocol leaves 400-1999 to applications), and `temporary` (does a retry make sense?).
Close codes are data too: CLOSE_CODES. 3000-3499 tell a client to reconnect, 3500-3999 not to.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One field of a body, path or query that was refused. `field` is dotted: `mentions.user_ids.0`."""

    field: str
    code: str
    message: str


class ChatError(Exception):
    """Raised with values, never prose: `raise RoomNotFound(room_id=room_id)`. The class holds the words."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 400
    protocol: ClassVar[int | None] = None
    temporary: ClassVar[bool] = False
    text: ClassVar[str] = "The request cannot be carried out."

    def __init__(self, *, retry_after_s: float | None = None, **values: object) -> None:
        super().__init__(*values.values())
        self.values = values
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return self.text.format(**self.values)

    @property
    def fields(self) -> tuple[FieldError, ...]:
        return ()


class BadJson(ChatError):
    code, text = "bad_json", "The body is not valid JSON in UTF-8."


class Invalid(ChatError):
    """Fields were refused: `raise Invalid(fields=(FieldError(...), ...))`."""

    code, status, text = "invalid", 422, "Some fields are not valid."

    @property
    def fields(self) -> tuple[FieldError, ...]:
        found = self.values.get("fields", ())
        return tuple(found) if isinstance(found, (tuple, list)) else ()


class TooLarge(ChatError):
    code, status, text = "too_large", 413, "The body is larger than the server takes."


class AnswerTooLarge(ChatError):
    code, status, text = "answer_too_large", 413, "The answer does not fit into one frame: ask for less."


class MethodNotAllowed(ChatError):
    code, status, text = "method_not_allowed", 405, "The resource does not take this method."


class UnsupportedMedia(ChatError):
    code, status, text = "unsupported_media_type", 415, "Send application/json."


class HostNotAllowed(ChatError):
    code, text = "host_not_allowed", "The server has no such host name: add it to CHAT_TRUSTED_HOSTS."


class Crashed(ChatError):
    """Nobody expected it; the log has the traceback under the request id."""

    code, status, protocol, temporary = "internal_error", 500, 100, True
    text = "The server failed: report the request id."


class Unauthorized(ChatError):
    code, status, protocol = "unauthorized", 401, 101
    text = "A valid credential is needed."


class TokenInvalid(Unauthorized):
    code, text = "token_invalid", "The token is not valid here."


class TokenExpired(Unauthorized):
    code, protocol, text = "token_expired", 109, "The token has expired: get a new one."


class TicketUsed(Unauthorized):
    code, text = "ticket_used", "The ticket is unknown, spent or expired: get a new one."


class SessionRevoked(Unauthorized):
    code, text = "session_revoked", "The session has ended: log in again."


class BadCredentials(Unauthorized):
    code, text = "bad_credentials", "The username or the password is wrong."


class ScopeNotGranted(Unauthorized):
    code, text = "invalid_scope", "Your role does not allow a scope that was asked for."


class Forbidden(ChatError):
    code, status, text = "forbidden", 403, "You may not do this."


class ScopeMissing(Forbidden):
    code, text = "insufficient_scope", "The credential lacks the scope {scope}."


class OriginNotAllowed(Forbidden):
    code, text = "origin_not_allowed", "Pages of this origin may not connect: add it to CHAT_ALLOWED_ORIGINS."


class InviteNeeded(Forbidden):
    code, text = "invite_needed", "Registration here needs a valid invite."


class RegistrationClosed(Forbidden):
    code, text = "registration_closed", "Registration is closed here."


class SetupCodeWrong(Forbidden):
    code, text = "setup_code_wrong", "The set-up code is not the one that the server printed."


class NotAMember(Forbidden):
    code, text = "not_a_member", "Only members of the room may do this: join it first."


class RoleTooLow(Forbidden):
    code, text = "role_too_low", "This needs the role {needed}."


class ChannelNotAllowed(Forbidden):
    code, text = "channel_not_allowed", "The API key does not cover this channel."


class NotFound(ChatError):
    code, status, text = "not_found", 404, "There is nothing here."


class RoomNotFound(NotFound):
    """The room does not exist, or the actor may not know that it does."""

    code, text = "room_not_found", "There is no such room for you."


class UserNotFound(NotFound):
    code, text = "user_not_found", "There is no such user."


class MessageNotFound(NotFound):
    code, text = "message_not_found", "There is no such message in this room."


class NotificationNotFound(NotFound):
    code, text = "notification_not_found", "There is no such notification for you."


class SessionNotFound(NotFound):
    code, text = "session_not_found", "There is no such session of yours."


class TopicNotFound(NotFound):
    code, text = "topic_not_found", "There is no such topic for you."


class KeyNotFound(NotFound):
    code, text = "key_not_found", "There is no such API key."


class Conflict(ChatError):
    code, status, text = "conflict", 409, "This does not fit what is there."


class UsernameTaken(Conflict):
    code, text = "username_taken", "The username is taken."


class ClientMsgIdReused(Conflict):
    code, text = "client_msg_id_reused", "This client_msg_id was used for a message in another room."


class RoomIsArchived(Conflict):
    code, text = "room_archived", "The room is archived and takes no changes."


class DirectRoomFixed(Conflict):
    code, text = "direct_room_fixed", "A direct room's people and name cannot be changed."


class AlreadySetUp(Conflict):
    code, text = "already_set_up", "This server has an owner already."


class LastOwner(Conflict):
    code, text = "last_owner", "The last owner cannot leave, be disabled or lose the role: make another owner first."


class MessageIsDeleted(Conflict):
    code, text = "message_deleted", "The message was deleted and cannot be changed."


class IdempotencyKeyReused(ChatError):
    code, status = "idempotency_key_reused", 422
    text = "This Idempotency-Key was used with another body."


class TooManyRequests(ChatError):
    code, status, protocol, temporary = "too_many_requests", 429, 111, True
    text = "Too many requests: wait before you try again."


class Unavailable(ChatError):
    code, status, temporary, text = "unavailable", 503, True, "Not available now: try again."


class StoreUnavailable(Unavailable):
    """Nothing was stored, or its outcome is unknown: a retry with the same client_msg_id or Idempotency-Key is safe."""

    code, text = "store_unavailable", "The store did not confirm this: try again, with the same id."


class QueryTooSlow(Unavailable):
    code, text = "query_too_slow", "The query took too long and was stopped: ask for less."


class BrokerUnavailable(Unavailable):
    code, protocol, text = "broker_unavailable", 100, "The broker is away: try again."


class Draining(Unavailable):
    code, text = "draining", "This worker is shutting down: try again."


class ProtocolError(ChatError):
    """An error of the realtime protocol itself."""

    code, protocol, text = "internal_error", 100, "internal server error"
    status, temporary = 500, True


class Unauthenticated(ProtocolError):
    code, status, protocol, temporary, text = "unauthenticated", 401, 101, False, "unauthorized"


class UnknownChannel(ProtocolError):
    code, status, protocol, temporary, text = "unknown_channel", 404, 102, False, "unknown channel"


class PermissionDenied(ProtocolError):
    code, status, protocol, temporary, text = "permission_denied", 403, 103, False, "permission denied"


class MethodNotFound(ProtocolError):
    code, status, protocol, temporary, text = "method_not_found", 404, 104, False, "method not found"


class AlreadySubscribed(ProtocolError):
    code, status, protocol, temporary, text = "already_subscribed", 409, 105, False, "already subscribed"


class LimitExceeded(ProtocolError):
    code, status, protocol, temporary, text = "limit_exceeded", 403, 106, False, "limit exceeded"


class BadRequest(ProtocolError):
    code, status, protocol, temporary, text = "bad_request", 400, 107, False, "bad request"


class NotAvailable(ProtocolError):
    code, status, protocol, temporary, text = "not_available", 404, 108, False, "not available"


class TokenHasExpired(ProtocolError):
    code, status, protocol, temporary, text = "token_has_expired", 401, 109, False, "token expired"


class CommandsTooFast(ProtocolError):
    code, status, protocol, temporary, text = "commands_too_fast", 429, 111, True, "too many requests"


class UnrecoverablePosition(ProtocolError):
    code, status, protocol, temporary, text = "unrecoverable_position", 409, 112, False, "unrecoverable position"


@dataclass(frozen=True, slots=True)
class CloseCode:
    """Why a socket was closed. `reason` is at most 123 bytes, as a close frame holds no more (RFC 6455 5.5)."""

    code: int
    reason: str

    @property
    def reconnect(self) -> bool:
        return not 3500 <= self.code <= 3999

    def because(self, reason: str) -> "CloseCode":
        return CloseCode(self.code, reason)


SHUTDOWN = CloseCode(3001, "shutdown")
SERVER_ERROR = CloseCode(3004, "internal server error")
EXPIRED = CloseCode(3005, "connection expired")
SLOW = CloseCode(3008, "slow")
INSUFFICIENT_STATE = CloseCode(3010, "insufficient state")
FORCE_RECONNECT = CloseCode(3011, "force reconnect")
NO_PONG = CloseCode(3012, "no pong")
CLOSE_TOO_MANY_REQUESTS = CloseCode(3013, "too many requests")
INVALID_TOKEN = CloseCode(3500, "invalid token")
CLOSE_BAD_REQUEST = CloseCode(3501, "bad request")
STALE = CloseCode(3502, "stale")
FORCE_NO_RECONNECT = CloseCode(3503, "force disconnect")
CONNECTION_LIMIT = CloseCode(3504, "connection limit")
CLOSE_PERMISSION_DENIED = CloseCode(3507, "permission denied")

CLOSE_CODES = (
    SHUTDOWN,
    SERVER_ERROR,
    EXPIRED,
    SLOW,
    INSUFFICIENT_STATE,
    FORCE_RECONNECT,
    NO_PONG,
    CLOSE_TOO_MANY_REQUESTS,
    INVALID_TOKEN,
    CLOSE_BAD_REQUEST,
    STALE,
    FORCE_NO_RECONNECT,
    CONNECTION_LIMIT,
    CLOSE_PERMISSION_DENIED,
)


@dataclass(frozen=True, slots=True)
class UnsubscribeCode:
    """Why a subscription ended. From 2500 a client subscribes again, below it does not."""

    code: int
    reason: str

    @property
    def resubscribe(self) -> bool:
        return self.code >= 2500


UNSUBSCRIBED_BY_SERVER = UnsubscribeCode(2000, "server unsubscribe")
UNSUBSCRIBED_INSUFFICIENT = UnsubscribeCode(2500, "insufficient state")
UNSUBSCRIBED_EXPIRED = UnsubscribeCode(2501, "subscription expired")

UNSUBSCRIBE_CODES = (UNSUBSCRIBED_BY_SERVER, UNSUBSCRIBED_INSUFFICIENT, UNSUBSCRIBED_EXPIRED)
