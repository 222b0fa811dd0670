//! Places on this machine: layouts, archives, directories.

mod directory;
mod docker_reader;
mod docker_writer;
mod files;
mod layout_index;
mod layout_reader;
mod layout_writer;
mod shelf;
mod spool;
mod staging;
mod tar_index;
mod tar_writer;
mod unpack;

pub(crate) use directory::{DirectoryReader, DirectoryWriter};
pub(crate) use docker_reader::DockerReader;
pub(crate) use docker_writer::DockerWriter;
pub(crate) use layout_reader::LayoutReader;
pub(crate) use layout_writer::LayoutWriter;
