"""Speed against peers, measured in one run. Never part of the tests."""
