"""Parts shared by the models: torch only, no model, no training."""
