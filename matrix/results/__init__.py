"""Results files: records written, read and migrated from older schemas."""
