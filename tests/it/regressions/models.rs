//! Model folders, adapters and exports.
