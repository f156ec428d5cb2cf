//! The program from outside: the real binary, with a fake runtime behind it that records how it was started.
#![allow(unsafe_code, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, clippy::needless_for_each, clippy::assigning_clones)]

mod bundles;
mod call;
mod checkpoint_image;
mod dead_server;
mod node;
mod record;
mod restore_container;

mod attributes;
mod bare_places;
mod dead_mounts;
mod documents;
mod failures;
mod inheritance;
mod own_log;
mod pass_through;
mod policy;
mod private_mounts;
mod random;
mod reporting;
mod resource_limits;
mod restore_dialect;
mod restore_hostile;
mod restore_image;
mod restore_preparations;
mod restore_races;
mod restore_refused;
mod restore_sources;
mod restore_spelling;
mod restore_surroundings;
mod restoring;
mod runtime_choice;
mod settings;
mod special_files;
mod surroundings;
mod told;
mod trust;
mod wrapper_loops;
mod writing;
