"""One file a question; the engine's own truth is the judge."""
