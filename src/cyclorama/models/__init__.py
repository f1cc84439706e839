"""One file, one model: configuration, module, initialisation, table of sizes."""
