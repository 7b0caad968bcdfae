//! The command line: what was typed, then what it means.
