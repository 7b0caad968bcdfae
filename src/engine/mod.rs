//! The background thread that trains.

pub mod config;
pub mod protocol;
