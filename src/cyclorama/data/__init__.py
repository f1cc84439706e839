"""From files and engines to samples: sources, filters, store, tokenizer, packing and loader."""
