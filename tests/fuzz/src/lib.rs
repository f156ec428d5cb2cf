//! What the fuzz targets check the program against: slow, plain and written without a look at `src/`, so that one mistake is not made twice.

pub mod argv;
pub mod config_json;
pub mod criu_image;
pub mod document;
pub mod expected;
pub mod json;
pub mod meaning;
pub mod mount_table;
pub mod naive_paths;
pub mod node;
pub mod propagation;
pub mod reached;
