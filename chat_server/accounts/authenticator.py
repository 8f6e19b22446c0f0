"""From a credential to an actor: tokens without a query, API keys and cookies with one, tickets by taking them."""

from chat_server.accounts.bots import KEY_PREFIX
from chat_server.accounts.commands import ensure_foreign_user
from chat_server.accounts.foreign import ForeignTokens
from chat_server.accounts.logins import TICKET_PREFIX, take_ticket
from chat_server.accounts.queries import foreign_user_id, key_by_secret, session_of
from chat_server.accounts.revocations import Revocations
from chat_server.accounts.scopes import SCOPES_OF, granted, scopes_in
from chat_server.accounts.tokens import Tokens, looks_like_token
from chat_server.actor import SYSTEM, Actor
from chat_server.clock import Clock, now_ms
from chat_server.errors import SessionRevoked, TokenInvalid, Unauthorized
from chat_server.ids import KeyId
from chat_server.shapes import Role
from chat_server.store.store import Store
from chat_server.unit import Unit


class Authenticator:
    """Judges credentials for this worker."""

    def __init__(
        self,
        store: Store,
        tokens: Tokens,
        revocations: Revocations,
        foreign: ForeignTokens,
        clock_ms: Clock = now_ms,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._foreign = foreign
        self._revocations = revocations
        self._clock_ms = clock_ms

    async def actor_of(self, credential: str, *, tickets: bool = False) -> Actor:
        """Whom an access token, an API key or (where they are taken) a ticket stands for.

        TokenInvalid, TokenExpired, TicketUsed, SessionRevoked, or StoreUnavailable.
        """
        if looks_like_token(credential):
            if self._foreign.is_for(credential):
                return await self._from_foreign(credential)
            return self._from_token(credential)
        if credential.startswith(KEY_PREFIX):
            return await self._from_key(credential)
        if tickets and credential.startswith(TICKET_PREFIX):
            return await self._from_ticket(credential)
        raise TokenInvalid()

    def actor_at_once(self, credential: str) -> Actor | None:
        """Whom a good access token stands for. None for what is not good, and for what takes a query to know."""
        if not looks_like_token(credential) or self._foreign.is_for(credential):
            return None
        try:
            return self._from_token(credential)
        except Unauthorized:
            return None

    async def actor_of_cookie(self, cookie: str) -> Actor:
        """The same for the value of the session cookie."""
        claims = self._tokens.read(cookie, "cookie")
        session = await self._store.read(lambda transaction: session_of(transaction, claims.session_id))
        if session is None or session.user_id != claims.user_id or not session.is_good(self._clock_ms()):
            raise SessionRevoked()
        return self._checked(
            Actor(
                user_id=session.user_id,
                session_id=session.id,
                scopes=granted(session.scopes, session.role),
                expires_at=session.expires_at / 1000,
            )
        )

    def check(self, actor: Actor) -> None:
        """SessionRevoked when what the actor came with has ended meanwhile."""
        self._revocations.check(actor)

    def _from_token(self, token: str) -> Actor:
        claims = self._tokens.read(token, "access")
        return self._checked(
            Actor(
                user_id=claims.user_id,
                session_id=claims.session_id,
                scopes=scopes_in(claims.scopes),
                expires_at=float(claims.expires_at),
            )
        )

    async def _from_foreign(self, token: str) -> Actor:
        claims = await self._foreign.read(token)
        if claims.channel:
            raise TokenInvalid()  # made to be handed to a page for one channel
        user_id = await self._store.read(lambda found: foreign_user_id(found, claims.issuer, claims.subject))
        if user_id is None:
            now = self._clock_ms()
            user_id = await self._store.write(
                lambda found: ensure_foreign_user(
                    Unit(found, SYSTEM, now, {}), claims.issuer, claims.subject, claims.name
                )
            )
        return self._checked(Actor(user_id=user_id, scopes=SCOPES_OF[Role.MEMBER], expires_at=float(claims.expires_at)))

    async def subscription(self, token: str, actor: Actor, channel: str) -> float:
        """Until when (Unix seconds) a subscription token lets the actor follow `channel`.

        TokenInvalid unless it is that issuer's, for that channel and that person; TokenExpired.
        """
        claims = await self._foreign.read(token)
        known = await self._store.read(lambda found: foreign_user_id(found, claims.issuer, claims.subject))
        if claims.channel != channel or actor.user_id not in {known, claims.subject}:
            raise TokenInvalid()
        return float(claims.expires_at)

    async def _from_key(self, secret: str) -> Actor:
        key = await self._store.read(lambda transaction: key_by_secret(transaction, secret, self._clock_ms()))
        if key is None:
            raise TokenInvalid()
        return self._checked(
            Actor(
                user_id=key.user_id,
                key_id=KeyId(key.id),
                scopes=frozenset(key.scopes),
                channels=None if key.channels is None else frozenset(key.channels),
                expires_at=None if key.expires_at is None else key.expires_at.timestamp(),
            )
        )

    async def _from_ticket(self, ticket: str) -> Actor:
        now = self._clock_ms()
        taken = await self._store.write(lambda transaction: take_ticket(Unit(transaction, SYSTEM, now, {}), ticket))
        return self._checked(taken)

    def _checked(self, actor: Actor) -> Actor:
        self._revocations.check(actor)
        return actor
