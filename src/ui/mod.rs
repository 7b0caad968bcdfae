//! Draws state, emits commands; one file a screen, one theme.
