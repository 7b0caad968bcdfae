//! What leaves the project: the PEFT adapter and the report.
