//! What a user relies on, through the public interface. One binary, so that it links once.

mod project;
mod text;
mod tidy;
