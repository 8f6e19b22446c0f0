"""Who you are: people, bots, logins, keys, invites, and what ends them."""
