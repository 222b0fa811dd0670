#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod postgres;
pub mod proxy;
pub mod s3;
