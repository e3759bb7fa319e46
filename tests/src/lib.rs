//! Fakes of the outside world for the end-to-end stories.
