//! The Curfew agent: drivers around the coordinator.
