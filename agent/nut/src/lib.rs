//! A client for NUT's `upsd`.
