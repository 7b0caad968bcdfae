//! The project on disk: scale, locks, full disks.
