"""The door to subprocesses: how they are started, confined and read; and work spread over processors."""
