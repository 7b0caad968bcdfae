//! Rows of a table in, and their gradients back.
