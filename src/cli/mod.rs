//! Arguments turned once into typed settings; one file a command.

pub mod policy;
pub mod rules;
