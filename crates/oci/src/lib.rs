#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod descriptor;
mod digest;
mod error_code;
mod hasher;
mod image_reference;
mod manifest;
mod media_type;
mod name;
mod range;
mod reference;
mod shorten;
mod text;

pub use descriptor::{Descriptor, Platform};
pub use digest::{Algorithm, Digest, InvalidDigest};
pub use error_code::{ErrorBody, ErrorCode, ErrorEntry};
pub use hasher::{Hasher, InvalidHasherState};
pub use image_reference::{ImageReference, InvalidImageReference};
pub use manifest::{Manifest, ManifestError};
pub use media_type::{InvalidMediaType, MediaType};
pub use name::{AccountName, InvalidName, RepositoryName};
pub use range::{ByteRange, InvalidContentRange, RequestedRange};
pub use reference::{InvalidReference, InvalidTag, Reference, Tag};
