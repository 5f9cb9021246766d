"""The catalog: which architectures are measured, and which releases have them."""
