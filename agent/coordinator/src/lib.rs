//! The pure decision core of Curfew.
