//! `guard configure` from outside, on files in a folder of its own: what it writes, gives back and refuses.

mod containerd;
mod drop_ins;
mod every_engine;
mod hostile_files;
mod node;
mod random;
mod removal;
