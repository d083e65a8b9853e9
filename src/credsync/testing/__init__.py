"""The conformance kit: contracts, fakes, strategies, and a test double of the Credentials service."""
