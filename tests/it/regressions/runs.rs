//! Training, stopping, resuming, checkpoints.
