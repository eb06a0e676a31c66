"""What the API says: messages, methods, JSON, errors and limits. Pure data and pure functions; nothing here knows a socket."""
