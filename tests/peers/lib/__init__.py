"""What the peer tests share: a workshop to work in, the peers, the relay, and mails to send."""
