"""The agent: one tool loop, the protocol of its clients, and the clients. Knows nothing of fortio or tests."""
