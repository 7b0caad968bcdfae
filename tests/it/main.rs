//! What a user relies on, through the public interface. One binary, so that it links once.

mod fixture;
mod parity;
mod policy;
mod text;
mod tidy;
