//! Charts as they must look.
