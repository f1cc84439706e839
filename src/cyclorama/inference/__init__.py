"""A trained model and a request in, a result out."""
