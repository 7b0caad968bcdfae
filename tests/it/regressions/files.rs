//! Preference files in and out, and what is written over.
