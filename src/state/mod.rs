//! What the screen shows, testable without a frame: workspace, commands, forms, series.
