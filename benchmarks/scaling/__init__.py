"""Pools in shards: seconds, memory and growth, here and on Ray; what two levels lose; texts from end to end."""
