//! What the agents say to each other.
