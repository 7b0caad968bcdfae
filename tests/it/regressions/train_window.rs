//! Train, Compare, Answers, Models and Projects.
