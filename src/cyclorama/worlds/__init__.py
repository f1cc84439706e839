"""Engines that know the exact truth of every pixel: seed -> recipe -> clip, captions, questions."""
