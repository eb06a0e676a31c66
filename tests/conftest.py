"""Makes tests/ importable for every folder below it (tests/pictures.py)."""
